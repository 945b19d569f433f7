"""Who gets a busy machine's processors first: what answers, before what starts containers.

An engine that starts many containers leaves no processor idle, and an answer, which needs little of
one but at several times, then waits longer than it works.

Linux has two scales of nice values (sched(7)): one of threads, which counts within a session, and
one of sessions ("autogroup"), which counts between them. Where groups of control share the
processors instead, as under systemd, the first is what counts within a group, and `CPUWeight=` of
the unit between them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger(__name__)

FIRST = -10
"""Nine times the share of a nice value of 0."""

_GIVEN = os.getpriority(os.PRIO_PROCESS, 0)
"""What this process was started with."""


def first(nice: int = FIRST) -> None:
    """Put this thread, and those it starts from now on, before others, where that is allowed.

    A session that is not this process's own stays as it is: a person's terminal, say. Whoever
    started this process as one that steps back is obeyed.
    """
    if _GIVEN > 0:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(nice))
    except OSError as error:  # only root may, and not every kernel has such groups
        LOG.debug("no nice value of %d: %s", nice, error)


@contextmanager
def as_given() -> Iterator[None]:
    """What this thread starts meanwhile is not put before others."""
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(mine, _GIVEN))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, mine)
