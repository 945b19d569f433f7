"""What the how-to needs of `systemctl`: starts and stops what units say, as the user they say."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
RUN = Path("/run")
CONFINED = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--init-groups"]


def settings(unit: str) -> dict[str, str]:
    if unit == "haproxy":
        return {"ExecStart": "haproxy -W -db -f /etc/haproxy/haproxy.cfg"}
    found = {}
    for line in (UNITS / f"{unit}.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            found[name] = value
    return found


def start(unit: str) -> None:
    said = settings(unit)
    command = shlex.split(said["ExecStart"])
    if user := said.get("User"):
        command = ["setpriv", f"--reuid={user}", f"--regid={said['Group']}", *CONFINED, *command]
    told = RUN / f"{unit}.notify"
    told.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(told))
        told.chmod(0o666)
        ready.settimeout(float(said.get("TimeoutStartSec", "90")))
        with (RUN / f"{unit}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(told)},
            )
        (RUN / f"{unit}.pid").write_text(str(process.pid))
        if said.get("Type") == "notify":
            assert ready.recv(100) == b"READY=1"


def stop(unit: str) -> None:
    told = RUN / f"{unit}.pid"
    if not told.exists():
        return
    pid = int(told.read_text())
    told.unlink()
    os.kill(pid, signal.SIGTERM)
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        time.sleep(0.05)


verb, *units = [word for word in sys.argv[1:] if word != "--now"]
for one in units:
    if verb in ("stop", "disable", "restart"):
        stop(one)
    if verb in ("start", "enable", "restart"):
        start(one)
