"""A host for stories: does what it is wished at once, in memory, when it is told to look."""

from __future__ import annotations

import random
import shlex
import socket
from base64 import b64decode, b64encode
from typing import Any

import msgspec
from msgspec import Struct, field

from dolium import errors
from dolium.agent.images import Images
from dolium.agent.questions import reply
from dolium.clients.glance import Glance
from dolium.control.commits import Uploads
from dolium.control.images import Fetcher
from dolium.drivers.engine import fake_files
from dolium.drivers.engine.fake import Fake, Image
from dolium.link.base import Hosts, Line
from dolium.model import log
from dolium.model.container import Look, Seen, State, Verb, Wanted
from dolium.model.image import snapshot
from dolium.model.wish import Answer, Command, Question, Result, Wish
from tests.control.world import HOST, World

MISSING = "nosuchimage"
"""The image that no registry has."""

_AFTER = {
    Verb.START: State.RUNNING,
    Verb.REBOOT: State.RUNNING,
    Verb.UNPAUSE: State.RUNNING,
    Verb.PAUSE: State.PAUSED,
    Verb.STOP: State.EXITED,
    Verb.KILL: State.EXITED,
}
_MAKES = (Verb.CREATE, Verb.REBUILD)


class _Box(Struct):
    state: State
    started_at: float | None = None
    finished_at: float | None = None
    argv: tuple[str, ...] = ()
    tty: bool = False
    commands: set[str] = msgspec.field(default_factory=set)
    files: fake_files.Files = field(default_factory=fake_files.FOLDERS.copy)


class Host:
    """The agent and the engine of one machine."""

    def __init__(self, world: World, link: Hosts, glance: Glance) -> None:
        self._world = world
        self._boxes: dict[str, _Box] = {}
        self._engine = Fake(clock=world.clock)
        self._engine.registry["team/app:1"] = Image()
        self._images = Images(self._engine, lambda: False, lambda work: work())
        rng = random.Random(1)
        self._fetcher = Fetcher(world.store, world.clock, link, rng)
        self._uploads = Uploads(world.store, world.clock, link, glance, rng, lambda work: work())

    def look(self) -> None:
        """Place what waits and carry out every open command."""
        while self._world.placer.turn():
            pass
        for _ in range(3):  # it begins, tells, and it is written down
            self._fetcher.turn()
        for wish in self._world.hosts.wishes(HOST, self._world.boot, 0, 0).wishes:
            for command in wish.commands:
                self._obey(wish, command)
        while self._uploads.turn():
            pass

    def _obey(self, wish: Wish, command: Command) -> None:
        world, now = self._world, self._world.clock.now()
        if command.verb in _MAKES and MISSING in wish.spec.image:
            why = f"Image {wish.spec.image} could not be found: no registry has it"
            self._report(wish, self._result(command, why), None)
            return
        if command.verb is Verb.DELETE:
            self._boxes.pop(wish.uuid, None)
            fact = world.fact(
                wish.uuid,
                generation=wish.generation,
                gone=True,
                results=(self._result(command),),
            )
            world.post(fact)
            return
        if command.verb in _MAKES:
            box = self._boxes[wish.uuid] = _Box(State.CREATED)
            for path, content in wish.spec.files:
                fake_files.inject(box.files, path, content)
        box = self._boxes.setdefault(wish.uuid, _Box(State.CREATED))
        if command.verb is Verb.COMMIT:
            self._engine.images[snapshot(command.params["image"])] = Image()
        if command.verb in _MAKES and wish.wanted is Wanted.RUNNING:
            box.state, box.started_at = State.RUNNING, now
        elif command.verb in _AFTER:
            box.state = _AFTER[command.verb]
            if command.verb in (Verb.START, Verb.REBOOT):
                box.started_at = now
            if box.state is State.EXITED:
                box.finished_at = now
        self._report(wish, self._result(command), box)

    def _result(self, command: Command, why: str | None = None) -> Result:
        now = self._world.clock.now()
        return Result(id=command.id, ok=why is None, message=why, started_at=now, finished_at=now)

    def _report(self, wish: Wish, result: Result, box: _Box | None) -> None:
        seen = None
        if box:
            look = Look(
                command=wish.spec.command or ["sh"],
                environment=wish.spec.environment or {},
                workdir=wish.spec.workdir or "/",
                ports=sorted(int(port.split("/")[0]) for port in wish.spec.exposed_ports or ()),
                hostname=wish.spec.hostname or wish.uuid[:12],
                entrypoint=wish.spec.entrypoint or [],
            )
            seen = Seen(
                uuid=wish.uuid,
                generation=wish.created_generation,
                handle=f"engine-{wish.uuid}",
                state=box.state,
                started_at=box.started_at,
                finished_at=box.finished_at,
                exit_code=137 if box.state is State.EXITED else None,
                look=look,
            )
            box.argv, box.tty = tuple(look.command or ()), wish.spec.tty
        fact = self._world.fact(wish.uuid, generation=wish.generation, seen=seen, results=(result,))
        self._world.post(fact)

    def answer(self, question: Question) -> Answer:
        """Logs, execute, top and stats of containers, and what there is about images."""
        if question.what in self._images.questions:
            return reply(question, lambda: self._images.answer(question))
        asked: dict[str, Any] = question.params
        box = self._boxes[question.uuid]
        if question.what.endswith("_archive"):
            return self._archive(box, question.what, asked)
        if question.what == "logs":
            return Answer(value=f"hello from {shlex.join(box.argv)}\n")
        if question.what == "execute":
            return Answer(value=_executed(asked["argv"]))
        if question.what == "top":
            return Answer(
                value={
                    "Titles": ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
                    "Processes": [
                        ["root", "7", "1", "0", "10:00", "?", "00:00:00", shlex.join(box.argv)]
                    ],
                }
            )
        if question.what in _CONSOLES:
            return self._console(question.what, box, asked)
        usage = ["memory_limit", "cpu_ns", "system_cpu_ns", "memory"]
        usage += ["read", "written", "received", "sent"]
        return Answer(value=dict.fromkeys(usage, 0))

    def _console(self, what: str, box: _Box, asked: dict[str, Any]) -> Answer:
        """Nobody comes to consoles in stories: a command that is made runs."""
        if what == "exec_create":
            exec_id = f"{len(box.commands) + 1:064x}"
            box.commands.add(exec_id)
            return Answer(value=exec_id)
        there = box.tty if what == "resize" else asked["exec_id"] in box.commands
        if there:
            return Answer()
        return Answer(code=errors.NoConsole.code, facts={"why": "There is no such console"})

    def open(self, question: Question) -> Line:
        """A log or an image to be read; there are no consoles here."""
        if question.what == "follow":
            return _Log(self._boxes[question.uuid])
        if question.what == "save_image":
            return self._images.save(question)
        raise errors.NotOffered(driver="A story's host", what="consoles")

    def _archive(self, box: _Box, what: str, asked: dict[str, Any]) -> Answer:
        try:
            if what == "put_archive":
                fake_files.put(box.files, asked["path"], b64decode(asked["data"]))
                return Answer()
            at = self._world.clock.now()
            found = fake_files.get(box.files, asked["path"], asked["most"], at)
        except errors.Error as error:
            return Answer(code=error.code, facts=error.facts)
        data = b64encode(found.data).decode()
        return Answer(value={"data": data, "stat": msgspec.to_builtins(found.stat)})


class _Log:
    """Says hello and ends."""

    def __init__(self, box: _Box) -> None:
        self._text = f"2026-11-26T09:00:00.5Z hello from {shlex.join(box.argv)}\n"

    def join(self, far: socket.socket) -> None:
        far.sendall(log.piece(self._text.encode()) + log.END)
        far.close()


def _executed(argv: list[str]) -> dict[str, Any]:
    if argv[0] == "echo":
        return {"output": " ".join(argv[1:]) + "\n", "exit_code": 0}
    return {"output": f'exec: "{argv[0]}": executable file not found', "exit_code": 127}


_CONSOLES = ("exec_create", "exec_resize", "resize")
