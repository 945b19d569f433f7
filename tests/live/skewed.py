"""`dolium` with a wall clock of its own: `skewed.py FILE WORDS…`; FILE says by how many seconds.

Only what Python reads as the time: TLS still judges certificates by the machine's clock.
"""

import sys
import time
from pathlib import Path

_really = time.time


def main(file: str, *words: str) -> int:
    def now() -> float:
        return _really() + int(Path(file).read_text() or 0)

    time.time = now
    from dolium.cli.main import main as dolium

    return dolium([*words])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
