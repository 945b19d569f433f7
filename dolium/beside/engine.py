"""The engine that runs the containers of this host: one that is here, or a Docker of our own.

Whose engine it is, the socket that answers decides. A foreign engine is used and never configured.
Our own one is a containerd and a dockerd with folders, sockets, control groups and namespaces of
their own; both outlive a killed Dolium, and containers outlive both (live-restore).
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dolium.beside import engine_files, errors, files, probes, shims
from dolium.beside.engine_files import Places
from dolium.beside.ping import SOCKET_LIMIT, ping, whole
from dolium.beside.process import Process, environment
from dolium.beside.watch import Watch
from dolium.undo import Undo

STANDARD = Path("/var/run/docker.sock")

MINIMUM_FREE = 500 * 2**20
"""Bytes below which an engine would soon fail in the middle of a pull."""


VARIABLES = {"GOGC": "400"}
"""dockerd runs itself anew up to four times per container, as libnetwork's helpers, and each of
these collects the garbage of its initialization. Not to do so saves 75 of the 530 ms of a start
with Docker 20.10, for 30 MB more in the daemon (measured). containerd is started
with it too. Whoever sets the variable decides."""

TRIES = 3
"""How often both daemons are started until no container that does not run has processes."""


class Engine:
    """Finds an engine, or starts and keeps our own.

    The Docker plugin sockets must listen before `start`: dockerd asks them while starting.

    Args:
        state_dir: images and containers of our own engine are below `state_dir/engine`.
        run_dir: its sockets and pidfiles are below `run_dir/engine`.
        name: of control groups and containerd namespaces, one per deployment (`dolium-<id8>`).
        socket: an engine that somebody configured; None looks for one.
        standard: where an engine that is already here answers.
        mirrors, insecure: registry mirrors (URLs) and registries without TLS, of our own engine.
        minimum_free: bytes that must be free below `state_dir`.
        command: what a person types to get here, for the sentence about sudo.
        within: prefix of all commands, so that tests run several engines in namespaces.
    """

    def __init__(
        self,
        state_dir: Path,
        run_dir: Path,
        *,
        name: str = "dolium",
        socket: Path | None = None,
        standard: Path = STANDARD,
        mirrors: Sequence[str] = (),
        insecure: Sequence[str] = (),
        minimum_free: int = MINIMUM_FREE,
        command: str = "dolium up",
        within: Sequence[str] = (),
    ) -> None:
        self.socket = socket or standard
        self.ours = False
        self._configured, self._standard = socket, standard
        self._places = Places(state_dir / "engine", run_dir / "engine")
        self._name = name
        self._mirrors, self._insecure = list(mirrors), list(insecure)
        self._minimum_free = minimum_free
        self._command = command
        self._within = list(within)
        self._lock = threading.RLock()
        self._watches: list[Watch] = []
        self._containerd = self._process("containerd")
        self._dockerd = self._process("dockerd")

    def start(self, timeout: float = 60.0) -> str:
        """Have an engine that answers; returns one sentence of which. Idempotent.

        Raises a StartError of `dolium.beside.errors` that says what to do.
        """
        with self._lock:
            begun = time.monotonic()
            foreign = self._foreign()
            if foreign is not None:
                return foreign
            self.ours, self.socket = True, self._places.socket
            probes.root(self._command)
            adopted = self._adopt()
            if not adopted:
                self._prepare()
                self._run(timeout)
            version = ping(self.socket)
            if not files.same(self._places.used, version + "\n"):  # the disk may be full
                files.write(self._places.used, version + "\n")
            if adopted:
                return f"Our own engine still runs: {version} (pid {self._dockerd.pid})"
            return f"Our own engine started in {time.monotonic() - begun:.1f} s: {version}"

    def idle(self) -> bool:
        """Whether it is our own engine that would be used, and nothing of it runs."""
        with self._lock:
            if self._configured is not None:
                return False
            if not self._places.used.exists() and self._foreign() is not None:
                return False
            running = [process.adopt() for process in (self._containerd, self._dockerd)]
            return not any(running) and not shims.living(self._places)

    def watch(self, say: Callable[[str], None]) -> None:
        """Keep our own engine running from now on; does nothing about a foreign one."""
        if self.ours:
            processes = (self._containerd, self._dockerd)
            self._watches = [Watch(process, self.start, say) for process in processes]
            for watch in self._watches:
                watch.start()

    def release(self) -> None:
        """Stop watching and leave it running, to be found by the next start."""
        for watch in self._watches:
            watch.stop()
        self._watches = []

    def stop(self, timeout: float = 20.0) -> None:
        """End our own engine, never a foreign one. Idempotent.

        Containers that the caller has not stopped before go on running; the next `start` finds
        them again.
        """
        self.release()
        with self._lock:
            for process in (self._dockerd, self._containerd):
                process.adopt()
                process.stop(timeout)
            self._places.socket.unlink(missing_ok=True)
            engine_files.tidy(self._name)

    def _process(self, name: str) -> Process:
        flags = {
            "containerd": ["--config", str(self._places.state / "containerd.toml")],
            # The two namespaces are flags: in its file dockerd 20.10 refuses their names.
            "dockerd": [
                f"--config-file={self._places.state / 'daemon.json'}",
                f"--containerd-namespace={self._name}",
                f"--containerd-plugins-namespace={self._name}-plugins",
            ],
        }
        return Process(
            name,
            [*self._within, name, *flags[name]],
            pidfile=self._places.run / f"{name}.ours",
            log=self._places.state / f"{name}.log",
            environment=VARIABLES | environment() | {"PATH": probes.PATH},
        )

    def _foreign(self) -> str | None:
        """A sentence if somebody's engine is used; None if it has to be our own."""
        if self._configured is None and self._places.used.exists():
            return None  # our containers are in our own engine, whatever was installed since then
        try:
            version = ping(self._configured or self._standard)
        except PermissionError:
            raise errors.NotRoot(command=self._command) from None
        except OSError as error:
            if self._configured is not None:
                raise errors.EngineSilent(socket=self._configured, why=error) from None
            return None
        return f"Uses the engine at {self.socket}, which was here before: {version}"

    def _adopt(self) -> bool:
        """Whether both daemons still run, answer, and have the configuration of today."""
        running = [process.adopt() for process in (self._containerd, self._dockerd)]
        texts = self._texts().items()
        return all(running) and all(files.same(p, text) for p, text in texts) and self._answers()

    def _texts(self) -> dict[Path, str]:
        runsc = shutil.which("runsc", path=probes.PATH)
        daemon = engine_files.daemon(
            self._places, self._name, mirrors=self._mirrors, insecure=self._insecure, runsc=runsc
        )
        return {
            self._places.state / "daemon.json": daemon,
            self._places.state / "containerd.toml": engine_files.containerd(self._places),
        }

    def _prepare(self) -> None:
        """Check what can be checked, and write the configuration while nobody reads it."""
        if len(os.fsencode(f"{self._places.containerd}.ttrpc")) > SOCKET_LIMIT:
            raise errors.PathTooLong(path=self._places.containerd)
        probes.binary("dockerd")
        probes.binary("containerd")
        files.folder(self._places.state)
        files.folder(self._places.run)
        probes.space(self._places.state, self._minimum_free)
        probes.kernel(self._places.state, self._within)
        for path, text in self._texts().items():
            if not files.same(path, text):
                for process in (self._dockerd, self._containerd):
                    process.stop()  # containers go on; configuration is only read at start
                files.write(path, text)

    def _run(self, timeout: float) -> None:
        """Start what does not run; what did not get ready is not left behind."""
        deadline = time.monotonic() + timeout
        places = self._places
        if self._containerd.alive() and self._dockerd.alive() and places.socket.exists():
            self._await(self._dockerd, self._answers, deadline)
            return
        for _ in range(TRIES):
            # A dockerd whose containerd died never learns how what was under way has ended.
            for process in (self._dockerd, self._containerd):
                process.stop(2.0)
            shims.end(places, self._name)
            self._launch(deadline)
            if not shims.stay(places, self._name):
                break
        places.starting.chmod(0o600)
        places.starting.replace(places.socket)

    def _launch(self, deadline: float) -> None:
        """Start both, to answer where nobody but us asks: what runs is to be looked at first."""
        places = self._places
        with Undo() as undo:
            places.containerd.unlink(missing_ok=True)
            self._containerd.start()
            undo(self._containerd.stop)
            self._await(self._containerd, places.containerd.exists, deadline)
            shims.thaw(places, self._name)
            # dockerd won't start while the pid in its file is alive, whosever it is by now.
            for path in (places.pidfile, places.socket, places.starting):
                path.unlink(missing_ok=True)
            self._dockerd.start()
            undo(self._dockerd.stop)
            self._await(self._dockerd, lambda: whole(places.starting), deadline)

    def _await(self, process: Process, ready: Callable[[], bool], deadline: float) -> None:
        while not ready():
            why = None
            if process.ended(0.02):
                why = _reason(process.said())
            elif time.monotonic() > deadline:
                why = f"it did not answer in time; last it said: {_reason(process.said())}"
            if why is not None:
                raise errors.EngineDied(daemon=process.name, why=why, log=process.log)

    def _answers(self) -> bool:
        return whole(self._places.socket)


def _reason(said: list[str]) -> str:
    """The line of a daemon's log that tells why it ended, without its decoration."""
    for line in reversed(said):
        if "failed to start daemon" in line or "level=fatal" in line or "unable to" in line:
            return _plain(line)
    return _plain(said[-1]) if said else "it said nothing"


def _plain(line: str) -> str:
    message = re.search(r'msg="((?:[^"\\]|\\.)*)"', line)
    return message.group(1) if message else line
