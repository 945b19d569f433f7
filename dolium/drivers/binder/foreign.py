"""Room beside a Docker that is not ours: it may drop whatever is forwarded and not its own.

Docker keeps a chain DOCKER-USER for such wishes. It writes it through one of iptables' two
backends, and rules in the other would not help, so ours go where that chain is.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from dolium.drivers.binder.programs import call
from dolium.drivers.binder.rules import accepts

USERS = "DOCKER-USER"
_LEGACY = {
    "iptables": Path("/proc/thread-self/net/ip_tables_names"),
    "ip6tables": Path("/proc/thread-self/net/ip6_tables_names"),
}
_FAMILY = {"iptables": "table ip filter ", "ip6tables": "table ip6 filter "}


class Foreign:
    """Our chain beside DOCKER-USER, where there is one."""

    def __init__(self, chain: str, bridges: str) -> None:
        """bridges: pattern of the names of our bridges, in iptables' way (`doln+`)."""
        self._chain = chain
        self._bridges = bridges

    def admit(self, uplinks: Collection[str]) -> bool:
        """In each look: see that our packets pass; tells whether there is a foreign Docker."""
        rules = accepts(self._chain, self._bridges, uplinks)
        jump = f"-A {USERS} -j {self._chain}"
        present = False
        for tool in tools():
            now = call(f"{tool}-save", "-t", "filter").splitlines()
            if not any(line.startswith(f":{USERS} ") for line in now):
                continue
            present = True
            have = [line for line in now if line.startswith(f"-A {self._chain} ")]
            if have == rules and jump in now:
                continue
            first = [] if jump in now else [f"-I {USERS} 1 -j {self._chain}"]
            self._restore(tool, [f":{self._chain} - [0:0]", *rules, *first])
        return present

    def leave(self) -> bool:
        """On `down`: take our chain away; tells whether there is a foreign Docker."""
        present = False
        for tool in tools():
            now = call(f"{tool}-save", "-t", "filter").splitlines()
            present |= any(line.startswith(f":{USERS} ") for line in now)
            if any(line.startswith(f":{self._chain} ") for line in now):
                jumps = [line.replace("-A", "-D", 1) for line in now if line.endswith(self._chain)]
                self._restore(tool, [*jumps, f"-F {self._chain}", f"-X {self._chain}"])
        return present

    @staticmethod
    def _restore(tool: str, lines: list[str]) -> None:
        call(f"{tool}-restore", "--noflush", text="\n".join(["*filter", *lines, "COMMIT", ""]))


def tools() -> list[str]:
    """The iptables whose filter table may hold Docker's chain.

    Asking a backend that nobody uses would load its kernel modules and make its tables.
    """
    chains = call("nft", "list", "chains")
    found = []
    for name in ("iptables", "ip6tables"):
        _, _, table = chains.partition(f"{_FAMILY[name]}{{")
        if f"chain {USERS} " in table.partition("\n}")[0]:
            found.append(f"{name}-nft")
        try:
            if "filter" in _LEGACY[name].read_text().split():
                found.append(f"{name}-legacy")
        except OSError:
            pass  # the module was never loaded
    return [tool for tool in found if shutil.which(f"{tool}-save")]
