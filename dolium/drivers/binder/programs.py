"""Programs a binder calls: the packet filters have no simpler door than their own tools."""

from __future__ import annotations

import subprocess

from dolium import errors

_LONGEST_S = 30


def call(*argv: str, text: str = "") -> str:
    """Run a program with `text` as its input; what it printed. DriverError says why it failed."""
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=_LONGEST_S, check=True
        )
    except FileNotFoundError:
        raise errors.DriverError(why=f"The program {argv[0]} is not installed") from None
    except subprocess.TimeoutExpired as error:
        raise errors.Unanswered(what=argv[0], why=f"no end within {error.timeout} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().partition("\n")[0]
        raise errors.DriverError(why=f"{argv[0]} failed: {said}") from None
    return done.stdout
