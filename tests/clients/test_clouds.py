"""Who uses a cloud: by variables or by files, as other clients read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolium import errors
from dolium.clients import clouds

FILE = """
clouds:
  dolium:
    auth: {auth_url: "http://x/v3", username: demo, project-name: demo}
    region_name: RegionOne
    interface: internal
    cacert: /etc/ca.crt
  machine:
    auth: {auth_url: "http://x/v3", application_credential_id: a, application_credential_secret: b}
    verify: false
  based: {profile: vexxhost}
"""
SECURE = "clouds: {dolium: {auth: {password: word}}}\n"


@pytest.fixture
def named(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "mine.yaml").write_text(FILE)
    (tmp_path / "secure.yaml").write_text(SECURE)
    return {clouds.FILE: str(tmp_path / "mine.yaml")}


def test_of_an_openrc() -> None:
    given = {"OS_AUTH_URL": "http://x/v3", "OS_USERNAME": "demo", "OS_PASSWORD": "word"}
    found = clouds.who(given | {"OS_REGION_NAME": "R", "OS_CACERT": "/ca", "PATH": "/bin"})
    assert (found.kind, found.region, found.verify) == ("password", "R", "/ca")
    assert (found.auth["username"], found.auth["password"]) == ("demo", "word")
    assert clouds.who(given | {"OS_INSECURE": "true"}).verify is False
    assert clouds.who({"OS_AUTH_URL": "http://x", "OS_TOKEN": "t"}).kind == "token"


def test_of_a_file_with_its_secrets_beside(named: dict[str, str]) -> None:
    found = clouds.who(named | {"OS_CLOUD": "dolium"})
    assert found.auth == {
        "auth_url": "http://x/v3",
        "username": "demo",
        "project_name": "demo",
        "password": "word",
    }
    assert (found.region, found.interface, found.verify) == ("RegionOne", "internal", "/etc/ca.crt")
    other = clouds.who(named | {"OS_CLOUD": "dolium"}, "machine")
    assert (other.kind, other.verify) == ("v3applicationcredential", False)


def test_what_cannot_be_used(named: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(errors.Conflict, match="source the openrc"):
        clouds.who({})
    with pytest.raises(errors.Conflict, match="has no cloud nosuch; it has dolium, machine, based"):
        clouds.who(named, "nosuch")
    with pytest.raises(errors.Conflict, match="based on a profile"):
        clouds.who(named, "based")
    with pytest.raises(errors.Conflict, match=r"no clouds\.yaml"):
        clouds.who({clouds.FILE: str(tmp_path / "nowhere.yaml")}, "dolium")
    (tmp_path / "mine.yaml").write_text("clouds: [")
    with pytest.raises(errors.Conflict, match="can't be read"):
        clouds.who(named, "dolium")
