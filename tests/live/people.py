"""More people and projects than `dolium up` makes, through Keystone's own API."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from tests.live.installation import Installation
from tests.perf import wire


def member(installation: Installation, project: str) -> dict[str, str]:
    """A new user with role `member` in a new project; returns the variables of an openrc."""
    rc = installation.rc("admin")
    url = urlsplit(rc["OS_AUTH_URL"])
    keystone = wire.tcp(
        str(url.hostname), url.port or 5000, {"X-Auth-Token": installation.token("admin")}
    )
    word = secrets.token_urlsafe(16)

    def made(kind: str, **values: Any) -> str:
        answer = keystone.ask("POST", f"/v3/{kind}s", {kind: values})
        return str(answer[kind]["id"])

    project_id = made("project", name=project, domain_id="default")
    user_id = made("user", name=f"{project}-user", password=word, domain_id="default")
    roles = keystone.ask("GET", "/v3/roles?name=member")["roles"]
    path = f"/v3/projects/{project_id}/users/{user_id}/roles/{roles[0]['id']}"
    status, said = keystone.raw("PUT", path)
    assert status == 204, said
    keystone.close()
    names = {"OS_USERNAME": f"{project}-user", "OS_PASSWORD": word, "OS_PROJECT_NAME": project}
    return rc | names
