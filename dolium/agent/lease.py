"""What lets a host's exclusive containers run: that the control side has answered lately.

Measured on the host's own monotonic clock, from before the request whose answer renewed it: so
it ends earlier than the control side, which counts from when it heard the request, can think.
It belongs to the host: an agent that is killed and started again while nobody answers goes on
with what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

from dolium.model.clock import Clock

NOTES = 3
"""Times that renewals are noted within one lease; an older note only ends it earlier."""


class Renewal:
    """One request that renews the lease unless it fails or is refused."""

    refused = False
    """Set when the answer says that this agent is not the host's any more."""


class Lease:
    """One agent's. Safe to use from many threads."""

    def __init__(
        self,
        clock: Clock,
        lease_s: int,
        renewed: float | None = None,
        note: Callable[[float], None] = lambda at: None,
    ) -> None:
        """lease_s 0: it never lapses. renewed: when an earlier run of the agent was last answered,
        as `note` wrote it down.
        """
        self._clock = clock
        self._lease_s = lease_s
        self._renewed = clock.monotonic() if renewed is None else renewed
        self._noted = -inf if renewed is None else renewed
        self._note = note

    @contextmanager
    def renewal(self) -> Iterator[Renewal]:
        """Around a request to the control side; what it raises does not renew."""
        asked, renewal = self._clock.monotonic(), Renewal()
        yield renewal
        if not renewal.refused:
            self._renewed = max(self._renewed, asked)
            if self._lease_s and self._renewed - self._noted >= self._lease_s / NOTES:
                self._noted = self._renewed
                self._note(self._renewed)

    def age(self) -> float:
        """Seconds since the control side was last asked and answered."""
        return self._clock.monotonic() - self._renewed

    def lapsed(self) -> bool:
        """Whether nobody has answered for too long."""
        return bool(self._lease_s) and self._clock.monotonic() - self._renewed >= self._lease_s
