"""Pairs of interfaces around the binder: what is made once and what is unmade until it is gone.

Plugin calls and the periodic look run in different threads and meet here, port by port.
"""

from __future__ import annotations

import logging
import threading
from zlib import crc32

from dolium import errors
from dolium.agent.plugin.ledger import Endpoint, Ledger
from dolium.drivers.binder.base import Binder

LOG = logging.getLogger(__name__)
_STRIPES = 32


class Pairs:
    """Makes and unmakes the pairs of ports, durably."""

    def __init__(self, ledger: Ledger, binder: Binder) -> None:
        self._ledger = ledger
        self._binder = binder
        self._locks = [threading.Lock() for _ in range(_STRIPES)]
        self._suspects: set[str] = set()
        """Pairs that were in no container in the last look and not made since."""
        self._guard = threading.Lock()

    def make(self, endpoint: Endpoint) -> str:
        """When Docker joins an endpoint: the interface to be moved into the container."""
        wired = self._ledger.network(endpoint.network_uuid)
        if wired is None:
            raise errors.Absent(what=f"Network {endpoint.network_uuid}")
        name = self._binder.port_name(endpoint.port.uuid)
        with self._lock(name):
            with self._guard:
                self._suspects.discard(name)
            self._ledger.paid(endpoint.port.uuid)
            return self._binder.make(wired.network, endpoint.port)

    def unmake(self, port_uuid: str) -> None:
        """When Docker takes an endpoint out of a container: never fails, the rest is a chore."""
        with self._lock(self._binder.port_name(port_uuid)):
            self._ledger.owe(port_uuid)
            self._pay(port_uuid)

    def pay(self, port_uuid: str) -> bool:
        """Do the chore, if it still is one; tells whether nothing is left to do."""
        with self._lock(self._binder.port_name(port_uuid)):
            return not self._ledger.owes(port_uuid) or self._pay(port_uuid)

    def sweep(self, loose: frozenset[str]) -> list[str]:
        """In the periodic look: remove the pairs that were in no container in the last look
        either and were not made since; returns their names.
        """
        with self._guard:
            again, self._suspects = self._suspects & loose, set(loose)
        swept = []
        for name in sorted(again):
            with self._lock(name):
                with self._guard:
                    innocent = name not in self._suspects
                if not innocent:
                    self._binder.sweep(name)
                    swept.append(name)
        return swept

    def _pay(self, port_uuid: str) -> bool:
        try:
            self._binder.unmake(port_uuid)
        except errors.Error as error:
            LOG.warning("port %s could not be unmade, will be tried again: %s", port_uuid, error)
            return False
        self._ledger.paid(port_uuid)
        return True

    def _lock(self, name: str) -> threading.Lock:
        return self._locks[crc32(name.encode()) % _STRIPES]
