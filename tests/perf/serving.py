"""The servers that `answers` measures, each a process: `python -m tests.perf.serving KIND FOLDER`.

`dolium` is the API as `dolium up` runs it, on a database in the folder, with one token that was
validated before; `bare` gives an answer that was recorded, on the same server. Both print their
port.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from dolium import conf, errors
from dolium.api import app, auth
from dolium.api.policy import Policy
from dolium.api.server import Server
from dolium.control.capsules import Capsules
from dolium.control.cipher import Cipher, new_key
from dolium.control.commits import Commits
from dolium.control.consoles import Consoles
from dolium.control.containers import Containers
from dolium.control.following import Following
from dolium.control.glance import Glance
from dolium.control.images import Images
from dolium.control.networks import Networks
from dolium.control.questions import Questions
from dolium.control.quotas import Quotas
from dolium.control.registries import Registries
from dolium.control.services import Services
from dolium.control.watching import Watching
from dolium.link.base import Hosts
from dolium.link.stream import Incoming
from dolium.model.clock import SystemClock
from dolium.model.wish import Answer, Question
from dolium.store.sqlite import Sqlite
from tests.perf.population import Counted

TOKEN = "t" * 180
Recorded = tuple[list[tuple[str, str]], bytes]
"""An answer's headers and body."""
PROJECT = "project0"


class Nobody(Hosts):
    """The link of a service without hosts."""

    def ask(self, host: str, question: Question, timeout_s: float = 60.0) -> Answer:
        raise errors.HostDown(host=host)

    def open(self, host: str, question: Question, timeout_s: float = 30.0) -> socket.socket:
        raise errors.HostDown(host=host)

    def read(self, host: str, question: Question, timeout_s: float = 30.0) -> Incoming:
        raise errors.HostDown(host=host)


def dolium(folder: Path) -> app.Wsgi:
    """The whole application; Keystone is not asked, as it is not for a token it knows."""
    clock, config, store = SystemClock(), conf.Config(), Sqlite(folder / "db")
    keystone = auth.Keystone(auth.Options(auth_url="http://127.0.0.1:9", username="", password=""))
    who = auth.Who(user_id="user", project_id=PROJECT, roles=("member",))
    keystone._remember(auth._key(TOKEN, ""), clock.monotonic() + 3600, who)
    policy = Policy()
    policy.warm()
    return app.make(
        containers=Containers(store, clock, config.quota),
        capsules=Capsules(store, clock, config.quota),
        questions=Questions(Nobody(), config.engine.execute_timeout_s),
        consoles=Consoles(store, clock, Nobody(), "ws://127.0.0.1:6784/"),
        following=Following(store, clock, Nobody()),
        networks=Networks(store, Counted()),
        services=Services(store, clock),
        watching=Watching(store, clock),
        quotas=Quotas(store, config.quota),
        registries=Registries(store, clock, Cipher([new_key()])),
        images=Images(store, clock, Nobody()),
        glance=Glance(None),
        commits=Commits(store, clock, Glance(None)),
        auth=keystone,
        policy=policy,
        config=config,
    )


def bare(folder: Path) -> app.Wsgi:
    """The same answer for every request: headers and body as Dolium once gave them."""
    head, body = msgspec.json.decode((folder / "answer").read_bytes(), type=Recorded)

    def answer(_environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", head)
        return [body]

    return answer


if __name__ == "__main__":
    kind, place = sys.argv[1:]
    server = Server({"dolium": dolium, "bare": bare}[kind](Path(place)), port=0)
    server.start()
    print(server.port, flush=True)
    threading.Event().wait()
