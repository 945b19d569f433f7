"""More people and projects than `dolium up` makes, through Keystone's own API."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.live.installation import Installation
from tests.perf import wire


def member(installation: Installation, project: str) -> dict[str, str]:
    """A new user with role `member` in a new project; returns the variables of an openrc."""
    word = secrets.token_urlsafe(16)
    with _keystone(installation) as keystone:
        project_id = _made(keystone, "project", name=project, domain_id="default")
        user_id = _made(
            keystone, "user", name=f"{project}-user", password=word, domain_id="default"
        )
        _join(keystone, project_id, user_id)
    names = {"OS_USERNAME": f"{project}-user", "OS_PASSWORD": word, "OS_PROJECT_NAME": project}
    return installation.rc("admin") | names


def tenants(installation: Installation, projects: Iterable[str]) -> list[str]:
    """Tokens of a new user for each of these new projects.

    One user, because Keystone takes a quarter of a second of CPU for every password.
    """
    user = member(installation, "many-projects")
    first = installation.token(user)
    tokens = []
    with _keystone(installation) as keystone:
        user_id = keystone.ask("GET", "/v3/users?name=many-projects-user")["users"][0]["id"]
        for project in projects:
            project_id = _made(keystone, "project", name=project, domain_id="default")
            _join(keystone, project_id, user_id)
            identity = {"methods": ["token"], "token": {"id": first}}
            scope = {"project": {"id": project_id}}
            body = msgspec.json.encode({"auth": {"identity": identity, "scope": scope}})
            response, said = keystone.exchange("POST", "/v3/auth/tokens", body)
            assert response.status == 201, said
            tokens.append(str(response.getheader("X-Subject-Token")))
    return tokens


@contextmanager
def _keystone(installation: Installation) -> Iterator[wire.Client]:
    """As an administrator."""
    url = urlsplit(installation.rc("admin")["OS_AUTH_URL"])
    token = installation.token("admin")
    made = wire.tcp(str(url.hostname), url.port or 5000, {"X-Auth-Token": token})
    try:
        yield made
    finally:
        made.close()


def _made(keystone: wire.Client, kind: str, **values: Any) -> str:
    answer = keystone.ask("POST", f"/v3/{kind}s", {kind: values})
    return str(answer[kind]["id"])


def _join(keystone: wire.Client, project_id: str, user_id: str) -> None:
    roles = keystone.ask("GET", "/v3/roles?name=member")["roles"]
    path = f"/v3/projects/{project_id}/users/{user_id}/roles/{roles[0]['id']}"
    status, said = keystone.raw("PUT", path)
    assert status == 204, said
