"""One writer at a time in Keystone's process, and nothing built by two threads at once.

Keystone begins a transaction without saying that it will write. On SQLite two of those that read
first and write then can't both go on: one fails with "database is locked" at once, which Keystone
makes a 500 (measured with 8 threads at a cold Keystone: most of their deletions of users). The
writers of one process can take turns; readers never wait for them (write-ahead log).
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dolium.beside import keystone_files


def take(session: Callable[[], Any]) -> Callable[[], Any]:
    """Make `session`, which gives a context manager for writing, wait for its turn.

    A thread that writes already may begin again: Keystone nests these and means one transaction.
    """
    turn = threading.RLock()

    @contextmanager
    def taking() -> Iterator[Any]:
        with turn, session() as begun:
            yield begun

    return taking


def install() -> None:
    """Let all of Keystone write in turns; called before its application is made."""
    from keystone.common import sql
    from keystone.common.sql import core

    core.session_for_write = sql.session_for_write = take(core.session_for_write)


def warm(application: Callable[..., Any], wish: Mapping[str, Any]) -> None:
    """Sign in and validate once, before anybody else asks.

    The first request makes tables known to SQLAlchemy and policy rules to the enforcer; several
    first ones at once see half of the rules and answer 403. It costs what the first user would
    wait otherwise.
    """
    domain = {"id": "default"}
    user = {"name": "dolium", "domain": domain, "password": wish["passwords"]["dolium"]}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": keystone_files.USERS["dolium"], "domain": domain}}
    body = {"auth": {"identity": identity, "scope": scope}}
    headers = _ask(application, "POST", json.dumps(body).encode())
    token = headers.get("X-Subject-Token", "")
    _ask(application, "GET", b"", {"HTTP_X_AUTH_TOKEN": token, "HTTP_X_SUBJECT_TOKEN": token})


def _ask(
    application: Callable[..., Any], method: str, body: bytes, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The headers of the answer to a request for /v3/auth/tokens."""
    answered: dict[str, str] = {}

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        answered.update(headers)

    environment = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/v3/auth/tokens",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        **(more or {}),
    }
    for _ in application(environment, start):
        pass
    return answered
