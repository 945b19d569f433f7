"""The API over TLS, with a certificate by Dolium's CA or by an operator."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dolium import errors
from dolium.api.server import Server
from dolium.cli import status
from dolium.link import certificates
from dolium.link.https_control import Own
from dolium.link.tls import Files
from dolium.model.clock import SystemClock
from tests.stories.cloud import Cloud


@contextlib.contextmanager
def served(context: Callable[[], ssl.SSLContext]) -> Iterator[Server]:
    server = Server(Cloud().app, port=0, threads=2, context=context)
    server.start()
    try:
        yield server
    finally:
        server.stop()


WELL = b'{"healthy":true,"parts":{"database":"ok"}}'


def ask(server: Server, ca: Path, path: str = "/healthcheck") -> tuple[bytes, str]:
    """The body, and the number of the certificate it came with."""
    context = ssl.create_default_context(cafile=str(ca / certificates.CERTIFICATE))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
    try:
        connection.request("GET", path)
        body = connection.getresponse().read()
        shown = connection.sock.getpeercert() or {}
        return body, str(shown["serialNumber"])
    finally:
        connection.close()


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    certificates.found(tmp_path / "ca", time.time())
    return tmp_path / "ca"


def write(folder: Path, ca: Path) -> tuple[Path, Path]:
    """A certificate and a key as files of an operator."""
    certificate, key = certificates.Ca(ca).web(["127.0.0.1"], time.time())
    (folder / "api.crt").write_text(certificate)
    (folder / "api.key").write_bytes(key)
    return folder / "api.crt", folder / "api.key"


def test_dolium_certifies_its_api_and_links_say_https(ca: Path) -> None:
    own = Own(ca, "api", SystemClock())
    with served(own.web(["127.0.0.1"])) as server:
        body, _ = ask(server, ca, "/")
        assert f"https://127.0.0.1:{server.port}/v1/".encode() in body


def test_clients_that_ask_strictly_are_content(ca: Path) -> None:
    """Python 3.13 checks more of a chain by default than older ones do."""
    own = Own(ca, "api", SystemClock())
    context = ssl.create_default_context(cafile=str(ca / certificates.CERTIFICATE))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with served(own.web(["localhost"])) as server:
        connection = http.client.HTTPSConnection(
            "localhost", server.port, timeout=10, context=context
        )
        connection.request("GET", "/healthcheck")
        assert connection.getresponse().read() == WELL
        connection.close()


def test_status_sees_that_it_answers(ca: Path) -> None:
    own = Own(ca, "api", SystemClock())
    with served(own.web(["127.0.0.1"])) as server:
        assert status._http(f"https://127.0.0.1:{server.port}/healthcheck")
        gone = server.port
    assert not status._http(f"https://127.0.0.1:{gone}/healthcheck")


def test_a_name_that_was_not_certified_is_noticed(ca: Path) -> None:
    own = Own(ca, "api", SystemClock())
    with (
        served(own.web(["api.example"])) as server,
        pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
    ):
        ask(server, ca)


def test_a_renewed_certificate_is_shown_without_a_restart(ca: Path, tmp_path: Path) -> None:
    files = Files(*write(tmp_path, ca))
    with served(files.server) as server:
        _, first = ask(server, ca)
        files.refresh()
        assert ask(server, ca) == (WELL, first)
        write(tmp_path, ca)
        files.refresh()
        _, second = ask(server, ca)
        assert first != second
        (tmp_path / "api.crt").write_text("half of a")
        with pytest.raises(errors.StartError, match="can't be used"):
            files.refresh()
        assert ask(server, ca) == (WELL, second)


def test_a_key_with_a_password_asks_nobody(ca: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = write(tmp_path, ca)
    locked = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    key.write_bytes(locked)
    with pytest.raises(errors.StartError, match="can't be used"):
        Files(certificate, key)


def test_silent_clients_hold_up_nobody(ca: Path) -> None:
    own = Own(ca, "api", SystemClock())
    with served(own.web(["127.0.0.1"])) as server, contextlib.ExitStack() as silent:
        for _ in range(10):  # one after the other they would take more than the client's 10 s
            silent.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert ask(server, ca)[0] == WELL
