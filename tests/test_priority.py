"""What answers goes before what starts containers, and what it starts does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dolium import priority

PROGRAM = """
import json, os, sys, threading
from pathlib import Path
from dolium import priority
from dolium.beside.process import Process, environment

def policy(pid=0):
    return [os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority]

def child():
    folder = Path(sys.argv[1])
    made = Process("child", ["sleep", "60"], pidfile=folder / "pid", log=folder / "log",
                   environment=environment())
    told = policy(made.start())
    made.stop()
    return told

priority.first(priority.STARTING)
starting = policy()
priority.first()
told = {"starting": starting, "child": child()}
thread = threading.Thread(target=lambda: told.update(thread=policy()))
thread.start(); thread.join()
with priority.among_equals():
    told["inside"] = policy()
told["outside"] = policy()
print(json.dumps(told))
"""

RR, USUAL = [os.SCHED_RR, 1], [os.SCHED_OTHER, 0]


def run(folder: Path, *before: str) -> dict[str, list[int]]:
    command = [*before, sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may go before others")
def test_who_answers_goes_first_and_what_it_starts_does_not(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert found.pop("starting") == [os.SCHED_RR, 2]
    assert found == {"child": USUAL, "thread": RR, "inside": USUAL, "outside": RR}


@pytest.mark.parametrize("given", [["nice"], ["chrt", "--batch", "0"]])
def test_who_was_told_to_step_back_does(tmp_path: Path, given: list[str]) -> None:
    found = run(tmp_path, *given)
    policy = [os.SCHED_BATCH if "chrt" in given else os.SCHED_OTHER, 0]
    assert set(map(tuple, found.values())) == {tuple(policy)}


def test_a_machine_that_does_not_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    priority.first()
