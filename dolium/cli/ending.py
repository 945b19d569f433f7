"""How a process of Dolium learns that it is to end."""

from __future__ import annotations

import signal
import threading

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Of an init system, of Ctrl-C, and of a terminal that is closed."""


def told() -> threading.Event:
    """Set when somebody ends this process; started by `nohup`, it outlives its terminal. Call it in
    the main thread.
    """
    ending = threading.Event()
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: ending.set())
    return ending
