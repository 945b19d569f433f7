"""What answers goes before what starts containers, and nobody else's session is touched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may go before others")

PROGRAM = """
import json, os, sys, threading
from pathlib import Path
from dolium.beside import priority
from dolium.beside.process import Process, environment

def nice(pid):
    about = Path(f"/proc/{pid}/autogroup")
    session = about.read_text().split()[-1] if about.exists() else "none"
    return [os.getpriority(os.PRIO_PROCESS, pid), session]

def child(name):
    place = Path(sys.argv[1]) / name
    made = Process(name, ["sleep", "60"], pidfile=place, log=place.with_suffix(".log"),
                   environment=environment())
    told = nice(made.start())
    made.stop()
    return told

before = nice(os.getpid())
priority.first()
told = {"before": before, "child": child("child")}
thread = threading.Thread(target=lambda: told.update(thread=nice(threading.get_native_id())))
thread.start(); thread.join()
print(json.dumps(told))
"""


def run(folder: Path, *, leads: bool) -> dict[str, list[object]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        start_new_session=leads,
        check=True,
        timeout=60,
    )
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("leads", [True, False])
def test_who_answers_goes_first_and_what_it_starts_does_not(tmp_path: Path, leads: bool) -> None:
    found = run(tmp_path, leads=leads)
    here, session = found["before"]
    if here != 0:
        pytest.skip("these tests were started with another nice value")
    own, first = ("0", "-10") if AUTOGROUP.exists() else ("none", "none")
    assert found["thread"] == [-10, first if leads else session]
    assert found["child"] == [0, own]
