"""`dolium policy`: the rules with their defaults, and what is wrong with a file of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dolium import errors
from dolium.api.policy import Policy
from dolium.api.rules import RULES, sample

_KNOWN = frozenset(rule.name for rule in RULES)
_FIELDS = ("container:get_one:", "capsule:get:", "registry:get_one:")
"""What begins so hides a field of answers; operators may add such rules."""


def write_sample() -> int:
    """Print a policy file with every default, commented out."""
    sys.stdout.write(sample())
    return 0


def check(file: str) -> int:
    """Name the rules of a file that nobody asks; 1 if there are any. Raises StartError."""
    if not file:
        raise errors.StartError(why="No policy file is configured ([api] policy_file); name one")
    if not Path(file).is_file():
        raise errors.StartError(why=f"There is no policy file {file}")
    try:
        given = Policy(file).given()
    except Exception as error:  # whatever a parser says about what it can't read
        raise errors.StartError(
            why=f"The policy file {file} can't be read: {' '.join(str(error).split())}"
        ) from None
    used = {name for text in given.values() for name in re.findall(r"rule:([\w:.-]+)", text)}
    wrong = [f"{name}: nobody asks this rule" for name in given if not _asked(name, used)]
    wrong += [f"{name}: there is no such rule to refer to" for name in used - _KNOWN - set(given)]
    for line in sorted(wrong):
        sys.stdout.write(f"{line}\n")
    if not wrong:
        sys.stdout.write(f"{file}: {len(given)} rules, all of them known\n")
    return 1 if wrong else 0


def _asked(name: str, used: set[str]) -> bool:
    return name in _KNOWN or name in used or name.startswith(_FIELDS)
