"""When things are tried again: restart policies of containers, and back-off after errors. Pure."""

from __future__ import annotations

import random

from dolium.model.container import RestartPolicy

FIRST_S = 1.0
LONGEST_S = 300.0
STEADY_S = 10.0
"""A run at least this long was a good one: the wait before the next start is short again."""

ENDING_S = 30.0
"""How long a container may take to end after a signal that asks for it; who runs on after that
did not want to, and what happens later has other reasons."""

RETRY_LONGEST_S = 30.0


def wait(
    policy: RestartPolicy | None, exit_code: int | None, restarts: int, short: int
) -> float | None:
    """Seconds until an exited container is started again; None: it stays stopped.

    restarts: how often that was done since somebody asked for a start; short: how many of the
    last runs in a row were shorter than STEADY_S.
    """
    name = policy.name if policy else "no"
    if name == "on-failure":
        most = _number(policy.retries) if policy else 0
        if exit_code == 0 or (most and restarts >= most):
            return None
    elif name not in ("always", "unless-stopped"):
        return None
    return min(FIRST_S * 2.0 ** min(short, 16), LONGEST_S)


def steady(started_at: float | None, finished_at: float | None) -> bool:
    """Whether a run was long enough to count as a good one."""
    return (
        started_at is not None
        and finished_at is not None
        and (finished_at - started_at >= STEADY_S)
    )


def jitter(rng: random.Random, base: float, tries: int) -> float:
    """Full jitter: seconds before try number `tries` (1 is the first repetition)."""
    return rng.uniform(0.0, min(RETRY_LONGEST_S, base * 2.0 ** min(tries, 16)))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
