"""The network plugin in a process of its own, to be killed: `wired.py JOURNAL SOCKET PROJECT`."""

import sys
import threading
from pathlib import Path

from dolium.agent.journal import Journal
from dolium.agent.plugin.ledger import Ledger
from dolium.agent.plugin.pairs import Pairs
from dolium.agent.plugin.plugin import Plugin
from dolium.agent.plugin.server import Server
from dolium.drivers.binder.bridge import Bridge, BridgeOptions


def main(journal: str, socket: str, deployment: str, project: str) -> None:
    ledger = Ledger(Journal(Path(journal)))
    binder = Bridge(BridgeOptions(deployment=deployment))
    plugin = Plugin(ledger, Pairs(ledger, binder), project)
    Server(Path(socket), plugin.answer).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
