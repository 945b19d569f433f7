"""A `dolium` command of a user that goes on, and what it has printed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.live.place import environment, until

DOLIUM = str(Path(sys.executable).with_name("dolium"))
PATIENCE_S = 90.0


def counts(lines: int, code: int = 0) -> list[str]:
    """A command that writes numbers, about a hundred a second."""
    return ["sh", "-c", f"for i in $(seq {lines}); do echo $i; sleep 0.01; done; exit {code}"]


class Following:
    """One that runs."""

    def __init__(self, folder: Path, rc: Mapping[str, str], argv: tuple[str, ...]) -> None:
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [DOLIUM, *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment() | dict(rc),
            )

    @property
    def lines(self) -> list[str]:
        """What it has printed until now."""
        return self._out.read_text().splitlines()

    @property
    def complaints(self) -> str:
        """The same on standard error."""
        return self._err.read_text()

    def until(self, *texts: str) -> None:
        """Wait until it has printed a line with all of these."""
        what = f"{self.process.args!r} prints {' and '.join(texts)}"
        until(
            lambda: any(all(text in line for text in texts) for line in self.lines),
            what,
            PATIENCE_S,
        )

    def ends(self) -> int:
        """Wait for its end; returns its status."""
        return self.process.wait(PATIENCE_S)


@contextmanager
def following(rc: Mapping[str, str], *argv: str) -> Iterator[Following]:
    """Type `dolium` and this."""
    with tempfile.TemporaryDirectory() as folder:
        made = Following(Path(folder), rc, argv)
        try:
            yield made
        finally:
            made.process.kill()
            made.process.wait()
