"""What the fake engine's containers write. Who follows is told at each call of the engine."""

from __future__ import annotations

import socket
from math import inf

from dolium.drivers.engine.base import Console
from dolium.drivers.engine.fake_consoles import Consoles
from dolium.drivers.engine.fake_fate import Box, Reader, asked
from dolium.model.clock import iso


class Logs(Consoles):
    """Part of the fake engine; see base for what each method is for."""

    @asked
    def logs(
        self,
        handle: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: str = "all",
        since: int | None = None,
    ) -> bytes:
        """See base."""
        wanted = {"stdout": stdout, "stderr": stderr}
        lines = [
            f"{iso(at)}Z ".encode() + text if timestamps else text
            for at, stream, text in self._written(self._box(handle))
            if wanted[stream] and at >= (since or 0)
        ]
        return b"".join(lines if tail == "all" else lines[max(0, len(lines) - int(tail)) :])

    @asked
    def follow(
        self,
        handle: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        tail: str = "all",
        since: str = "",
    ) -> Console:
        """See base."""
        box = self._box(handle)
        wanted = frozenset(("stdout",) * stdout + ("stderr",) * stderr)
        known = [number for number, line in enumerate(self._written(box)) if line[1] in wanted]
        skipped = known[: len(known) - int(tail)] if tail != "all" else []
        ours, inside = socket.socketpair()
        reader = Reader(
            inside=inside,
            streams=wanted,
            since=float(since or -inf),
            next=skipped[-1] + 1 if skipped else 0,
        )
        box.readers.append(reader)
        self._tell_readers(box, ended=not box.alive)
        return Console(socket=ours)

    def _written(self, box: Box) -> list[tuple[float, str, bytes]]:
        now = self.clock.now()
        return [line for line in box.output if line[0] <= now]
