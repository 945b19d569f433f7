"""Nothing listens in plain text where others could listen too."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from dolium import conf, errors
from dolium.cli import listening
from dolium.link import certificates
from dolium.model.clock import SystemClock


def configured(folder: Path, **api: Any) -> conf.Config:
    return conf.load(default={"state_dir": str(folder)}, api=api)


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_tls(tmp_path: Path, listen: str) -> None:
    config = configured(tmp_path, listen=listen)
    assert listening.api_tls(config, SystemClock()) is None
    assert listening.api_url(config).startswith("http://")


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "api.example"])
def test_other_addresses_are_refused_without_a_certificate_or_a_ca(
    tmp_path: Path, listen: str
) -> None:
    config = configured(tmp_path, listen=listen)
    with pytest.raises(errors.StartError, match=r"without TLS: set \[api\] tls_cert"):
        listening.api_tls(config, SystemClock())
    certificates.found(tmp_path / "ca", SystemClock().now())
    made = listening.api_tls(config, SystemClock())
    assert made and made.context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert listening.api_url(config).startswith("https://")


def test_a_certificate_and_a_key_belong_together(tmp_path: Path) -> None:
    with pytest.raises(errors.StartError, match="belong together"):
        listening.api_tls(configured(tmp_path, tls_cert="/some"), SystemClock())
    both = configured(tmp_path, tls_cert="/some", tls_key="/other")
    with pytest.raises(errors.StartError, match="can't be used"):
        listening.api_tls(both, SystemClock())


def test_the_public_url_is_what_clients_are_told(tmp_path: Path) -> None:
    config = configured(tmp_path, public_url="https://cloud.example:9517/v1/")
    assert listening.api_url(config) == "https://cloud.example:9517"
    assert listening.web_names(config, "::", config.api.public_url)[0] == "cloud.example"


def test_an_ipv6_address_is_bracketed(tmp_path: Path) -> None:
    config = configured(tmp_path, listen="2001:db8::1")
    assert listening.api_url(config) == "https://[2001:db8::1]:9517"


def test_keystone_stays_on_loopback() -> None:
    listening.check_identity(conf.Config())
    with pytest.raises(errors.StartError, match=r"\[identity\] listen 0\.0\.0\.0"):
        listening.check_identity(conf.load(identity={"listen": "0.0.0.0"}))
