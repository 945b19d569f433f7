"""Which threads a busy machine's processors take first: those that answer.

An engine that starts containers leaves no processor idle, and an answer, which needs one for half a
millisecond, but at several moments, then mostly waits. Measured with a hundred tenants at work on
two cores (`python -m tests.perf load`), the p99 of a read over that of an idle machine:
19 times among equals, 12 with the best nice values that threads and sessions can have, 4 with the
policy that is used here (sched(7), SCHED_RR), and no fewer containers were started.

The kernel still gives everybody else 5 % of each processor, and an interpreter, which computes with
one thread at a time, can't take more than one. What computes long outside of it steps back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger(__name__)

ANSWERING, STARTING = 1, 2
"""Priorities of SCHED_RR, of which 1 is the lowest."""

_USUAL = os.SCHED_OTHER, os.sched_param(0)
_STEPS_BACK = os.sched_getscheduler(0) != os.SCHED_OTHER or os.getpriority(os.PRIO_PROCESS, 0) > 0
"""Whoever started this process gave it a policy, or a lower priority: that stays."""


def first(level: int = ANSWERING) -> None:
    """Put this thread, and those it starts from now on, before others, where that is allowed."""
    if _STEPS_BACK:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(level))
    except OSError as error:  # not root, or in a group of control that may not
        LOG.debug("threads stay among equals: %s", error)


@contextmanager
def among_equals() -> Iterator[None]:
    """For what takes long outside the interpreter, and programs that live on.

    Not for other Python: whoever holds the interpreter and has no processor keeps all the others
    waiting.
    """
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    if policy != os.SCHED_RR:
        yield
        return
    os.sched_setscheduler(0, *_USUAL)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)
