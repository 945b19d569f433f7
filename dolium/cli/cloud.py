"""What commands of a cloud's users share: who they are, and coming back after a lost connection."""

from __future__ import annotations

import os
import random
import sys
import time
from typing import TYPE_CHECKING

from dolium import errors

if TYPE_CHECKING:
    from dolium.clients.api import Api

FIRST_S = 0.5
LONGEST_S = 30.0
"""Between two tries to come back."""


def api(cloud: str | None) -> Api:
    """The API of the cloud that the environment, or the name of one, means."""
    from dolium.clients import clouds
    from dolium.clients.api import Api

    return Api(clouds.who(os.environ, cloud))


class Return:
    """Spaces out tries to come back; says once that the connection was lost."""

    def __init__(self, what: str) -> None:
        """what: was lost, for the person."""
        self._what = what
        self._tries = 0
        self._been = False

    def arrived(self) -> None:
        """There is an answer."""
        self._tries, self._been = 0, True

    def wait(self, error: errors.Error) -> None:
        """Before the next try; raises the error when there never was an answer."""
        if not self._been:
            raise error
        if self._tries == 1:  # the first one mostly finds another process, or the same again
            sys.stderr.write(f"dolium: {self._what} is interrupted: {error}\n")
        bound = min(LONGEST_S, FIRST_S * 2**self._tries)
        time.sleep(random.uniform(bound / 2, bound))
        self._tries += 1

    def rest(self) -> None:
        """After an answer that is complete: a server that stops may give many of them."""
        time.sleep(FIRST_S)


def write(data: bytes) -> None:
    """To standard output, at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
