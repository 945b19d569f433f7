"""The interface of a fence driver on the control side.

A host that is silent may be dead, or only cut off while its containers run on. They are started
elsewhere only after a fence has proven that nothing runs on the host any more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar


class Driver(ABC):
    """Makes sure that a host is off."""

    name: ClassVar[str]

    @abstractmethod
    def off(self, host: str) -> str:
        """When a host is silent, again and again until it is proven or the host speaks again.

        Returns, within a bounded time, how it is certain that the host is off and stays so until
        somebody turns it on: a short sentence for people. It may turn it off for that. Asking
        again about a host that is off must be harmless, also by two conductors at once.

        Raises Refused when the host is not off or this can't be told, Unanswered when what was
        asked does not answer in time. Never returns on a guess: two copies of a container may
        destroy what they share.
        """
