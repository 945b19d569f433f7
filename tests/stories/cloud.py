"""The cloud that stories take place in: the real API, control side and store, one small host."""

from __future__ import annotations

import io
import re
from functools import partial
from typing import Any

import msgspec

from dolium import conf, errors
from dolium.api import versions
from dolium.api.app import make, plain
from dolium.api.auth import Environ, Who
from dolium.api.policy import Policy
from dolium.api.streams import Streams
from dolium.control.commits import Commits
from dolium.control.consoles import Consoles
from dolium.control.figures import Figures, database
from dolium.control.following import Following
from dolium.control.images import Images
from dolium.control.questions import Questions
from dolium.control.watching import Watching
from dolium.drivers.engine.fake import Image
from dolium.drivers.engine.fake_saved import archive
from dolium.link.local import LocalHosts
from dolium.metrics.registry import Registry
from dolium.model.metric import Source
from tests.control.glance import FakeGlance
from tests.control.world import HOST, World
from tests.stories import described
from tests.stories.host import Host

ADDRESS = "dolium.test:9517"

PEOPLE = {
    "alice": Who(user_id="alice", project_id="north", roles=("member", "reader")),
    "anna": Who(user_id="anna", project_id="north", roles=("member", "reader")),
    "rita": Who(user_id="rita", project_id="north", roles=("reader",)),
    "heat": Who(user_id="heat", project_id="north", roles=("heat_stack_owner",)),
    "bob": Who(user_id="bob", project_id="south", roles=("member", "reader")),
    "root": Who(user_id="root", project_id="cloud", roles=("admin", "member", "reader")),
    "otto": Who(user_id="otto", project_id="", roles=("member", "reader")),
}
"""Who appears in stories: alice, anna, rita (only a reader) and heat (an old role) are of
project north, bob of south, root is an administrator, otto's token has no project."""


IMAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "everybodys": ("", {"tags": ("1", "latest")}),
    "norths": ("north", {"tags": ("2",)}),
    "souths": ("south", {}),
    "empty": ("north", {"status": "queued"}),
    "disk": ("north", {"container_format": "bare"}),
}
"""What Glance has, of which project (none: public), where the story's configuration names it."""


class People:
    """Takes the name of one of PEOPLE for a token."""

    def who(self, environ: Environ) -> Who:
        token = environ.get("HTTP_X_AUTH_TOKEN")
        if token == "keystone-is-down":
            raise errors.Unanswered(what="Keystone", why="connection refused")
        if token not in PEOPLE:
            raise errors.Unauthorized(challenge='Keystone uri="http://keystone.test:5000"')
        return PEOPLE[token]

    def warm(self) -> None:
        pass


class Reply(msgspec.Struct):
    """What came back."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.raw) if self.raw else None


def _minor(version: str | None) -> int:
    found = re.fullmatch(r"(?:container )?1\.(\d+)", version or "")
    return int(found[1]) if found else versions.LOW


class Cloud:
    """One deployment in memory."""

    def __init__(
        self, policy_file: str = "", streams: Streams | None = None, **config: Any
    ) -> None:
        options = conf.Config(**config)
        self.images = FakeGlance(lambda token: PEOPLE[token].project_id)
        self.world = World(
            quota=options.quota, glance=self.images if options.glance.auth_url else None
        )
        for name, (project, more) in IMAGES.items():
            self.images.keep(name, archive(Image()), project, **more)
        self._described = not policy_file  # which may hide fields
        link = LocalHosts()
        self.host = Host(self.world, link, self.images)
        link.join(HOST, self.host)
        self.policy = Policy(policy_file, self.world.clock)
        self.registry = Registry(
            self.world.store.meter, (Source.API, Source.CONDUCTOR, Source.STORE)
        )
        self.registry.check("database", partial(database, self.world.store))
        self.registry.read(Figures(self.world.store, self.world.clock).read)
        self.app = make(
            containers=self.world.containers,
            capsules=self.world.capsules,
            questions=Questions(link, 5.0, options.limits),
            consoles=Consoles(self.world.store, self.world.clock, link, "ws://dolium.test:6784/"),
            following=Following(self.world.store, self.world.clock, link),
            networks=self.world.networks,
            services=self.world.services,
            watching=Watching(self.world.store, self.world.clock),
            quotas=self.world.quotas,
            registries=self.world.registries,
            images=Images(self.world.store, self.world.clock, link),
            glance=self.world.glance,
            commits=Commits(self.world.store, self.world.clock, self.world.glance),
            auth=People(),
            policy=self.policy,
            config=options,
            clock=self.world.clock,
            registry=self.registry,
            streams=streams,
        )

    def call(
        self,
        verb: str,
        path: str,
        *,
        who: str | None = "alice",
        version: str | None = "1.40",
        body: Any = None,
        media: str | None = "application/json",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request. A body that is a string goes as it is, all else as JSON."""
        raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": verb,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "dolium.test",
            "SERVER_PORT": "9517",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": ADDRESS,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"" if body is None else raw),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if body is not None:
            environ["CONTENT_LENGTH"] = str(len(raw))
        if media:
            environ["CONTENT_TYPE"] = media
        if who:
            environ["HTTP_X_AUTH_TOKEN"] = who
        if version:
            asked = version if " " in version else f"container {version}"
            environ["HTTP_OPENSTACK_API_VERSION"] = asked
        for name, value in (headers or {}).items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        reply = self._run(environ)
        if self._described:
            media = reply.headers.get("content-type", "")
            described.check(verb, plain(path), reply.status, reply.raw, _minor(version), media)
        return reply

    def _run(self, environ: dict[str, Any]) -> Reply:
        said: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            said[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]

        raw = b"".join(self.app(environ, start))
        return Reply(said[0], said[1], raw)
