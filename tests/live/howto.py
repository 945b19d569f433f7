"""Follows a how-to literally: types what a page says, each line on the machine its prompt names.

Not typed are lines that fetch from package archives; `systemctl` is a small one of our own, as
these machines run no systemd, and starts what the units say, as the user they say.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests import engines
from tests.databases import MariaDb
from tests.live import clients
from tests.live.installation import IMAGE
from tests.live.place import Place, environment, until
from tests.perf.installation import credentials

FENCE = re.compile(r"^ *```\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^ *(control\d?|host\d?|db|lb|admin)[#$] (.*)$")
FETCHES = ("apt-get ", "python3 -m venv ", "/opt/dolium/bin/pip ")
MAY_LACK = ("mariadb-dump",)
"""Programs of others that a machine for tests need not have."""
CONTROL = {f"control{n}": f"192.0.2.{10 + n}" for n in (1, 2, 3)}
HOSTS = {f"host{n}": f"192.0.2.{20 + n}" for n in (1, 2)}
SERVICES = ("192.0.2.9", "192.0.2.10")
NAMES = f"{SERVICES[0]} dolium.example.org\n{SERVICES[1]} keystone.example.org\n"
REPLACED = {
    "DB_PASSWORD": "tellnobody1",
    "SERVICE_PASSWORD": "tellnobody2",
    "https://keystone.example.org": "http://keystone.example.org",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/dolium/bin"

_PRIVATE = """
mkdir /run/over; mount -t tmpfs none /run/over
for folder in etc var/lib usr/local opt; do
    name=$(echo $folder | tr / -)
    mkdir -p /run/over/$name/up /run/over/$name/work
    layers=lowerdir=/$folder,upperdir=/run/over/$name/up,workdir=/run/over/$name/work
    mount -t overlay -o $layers none /$folder
done
mount --bind /run/resolv.conf /etc/resolv.conf
mount -t tmpfs none /etc/docker
mkdir -p /opt/dolium /usr/local/bin /etc/systemd/system
mount --bind "$1" /opt/dolium
mount --bind "$2" /root
cp "$3" /usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl
printf "$4" >>/etc/hosts
"""


class Typed(NamedTuple):
    """A command of a page, with what it is given."""

    where: str
    text: str


def commands(page: str) -> Iterator[Typed]:
    """What a page says to type, in its order."""
    for fence in FENCE.findall(page):
        lines = iter(fence.splitlines())
        for line in lines:
            found = LINE.match(line)
            if not found:
                continue  # what is printed
            text = [found[2]]
            if "<<EOF" in found[2]:
                for given in lines:
                    text.append(given.strip())
                    if given.strip() == "EOF":
                        break
            yield Typed(found[1], "\n".join(text))


class Server(MariaDb):
    """One that listens on an address of a place."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def command(self) -> list[str]:
        rest = [word for word in super().command() if word != "--skip-networking"]
        there = ["nsenter", "-t", str(self.place.holder), "-n", "--"]
        return [*there, *rest, f"--bind-address={SERVICES[1]}"]


class Machines:
    """All of them, joined by a switch; `stack` takes them down."""

    def __init__(self, environment_: Path, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        shared = folder / "root"
        shared.mkdir()
        stub = folder / "systemctl"
        stub.write_text(
            f"#!{sys.executable}\n{Path(__file__).with_name('systemctl.py').read_text()}"
        )
        self.switch = stack.enter_context(Place())
        self.places = {"db": self.switch, "lb": self.switch}
        for name in (*CONTROL, *HOSTS):
            self.places[name] = Place()
            stack.callback(self.places[name].__exit__)
        for place in {*self.places.values()}:
            private = ["sh", "-ec", _PRIVATE, "private", environment_, shared, stub, NAMES]
            place.run(*map(str, private))
        self.switch.run("ip", "link", "add", "hub", "type", "bridge")
        self.switch.run("ip", "link", "set", "hub", "up")
        for address in SERVICES:
            self.switch.run("ip", "address", "add", f"{address}/24", "dev", "hub")
        for name, address in {**CONTROL, **HOSTS}.items():
            self._join(name, address)
        for name in (*CONTROL, *HOSTS):  # layers of images can't lie on layers
            state = self.places[name].folder / "dolium"
            state.mkdir()
            self.places[name].run("mkdir", "-p", "/var/lib/dolium")
            self.places[name].run("mount", "--bind", str(state), "/var/lib/dolium")
        self._services(stack)

    def _join(self, name: str, address: str) -> None:
        place = self.places[name]
        there = ["nsenter", "-t", str(self.switch.holder), "-n"]
        end = ["type", "veth", "peer", "name", "up0", "netns", str(place.holder)]
        subprocess.run([*there, "ip", "link", "add", name, *end], check=True)
        self.switch.run("ip", "link", "set", name, "master", "hub", "up")
        place.run("ip", "address", "add", f"{address}/24", "dev", "up0")
        place.run("ip", "link", "set", "up0", "up")

    def _services(self, stack: ExitStack) -> None:
        self._database = Server(self.switch)
        stack.callback(self._database.close)
        self._database.start()
        self.switch.run("mkdir", "/run/mysqld")
        socket = str(self._database.folder / "socket")
        self.switch.run("ln", "-s", socket, "/run/mysqld/mysqld.sock")
        identity = self._folder / "identity"
        command = [sys.executable, "-m", "tests.live.identity", str(identity), "", SERVICES[1]]
        process = subprocess.Popen(
            self.switch.command("env", "-C", str(Path(__file__).parents[2]), *command),
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        until((identity / "service.json").exists, "Keystone answers")
        self._rc = credentials(identity / "admin-openrc")
        # Those of another installation.
        self._run("db", "openstack user delete dolium; openstack service delete container")

    def type(self, typed: Typed) -> None:
        """On each machine that the prompt means."""
        program = typed.text.split()[0]
        if typed.text.startswith(FETCHES) or (program in MAY_LACK and not shutil.which(program)):
            return
        if typed.text.startswith("openstack appcontainer run"):
            self._images()
        for where in self._meant(typed.where):
            print(f"{where}# {typed.text}")
            print(self._run(where, typed.text), flush=True)
        if typed.text.startswith("openstack appcontainer run"):
            ask = "openstack appcontainer show hello -f value -c status"
            until(lambda: self._run("db", ask).strip() == "Running", "hello runs", step=1)

    def _meant(self, where: str) -> list[str]:
        every = {"control": list(CONTROL), "host": list(HOSTS), "admin": ["db"]}
        return every.get(where, [where])

    def _run(self, where: str, text: str) -> str:
        for what, instead in REPLACED.items():
            text = text.replace(what, instead)
        address = {**CONTROL, **HOSTS}.get(where, "")
        variables = {
            "NAME": where,
            "ADDRESS": address,
            "PATH": f"{clients.FOLDER}:{PATH}",
            "OS_CACERT": "/root/dolium-ca.crt",
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run(
            self.places[where].command("bash", "-ec", text),
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            env=environment() | self._rc | variables,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{where}# {text}\n{said}{self._logs(where)}"
        return said

    def _logs(self, where: str) -> str:
        logs = sorted(self.places[where].seen("/run").glob("*.log"))
        return "".join(log.read_text(errors="replace")[-3000:] for log in logs)

    def _images(self) -> None:
        for name in HOSTS:
            place = self.places[name]
            (socket,) = place.seen("/run").glob("dolium-*/engine/docker.sock")
            place.mark(socket.parents[1].name)
            engines.load_image(str(socket), IMAGE)

    def hosts(self) -> dict[str, str]:
        """Each host's state."""
        listed = self._run("control1", "dolium host list --json --config /etc/dolium/dolium.conf")
        return {each["name"]: each["state"] for each in msgspec.json.decode(listed)}

    def status(self, name: str) -> str:
        """Of a container."""
        return self._run("db", f"openstack appcontainer show {name} -f value -c status").strip()
