"""Every command of the clients people have, with what comes of it against `dolium up`.

`test_commands.py` runs them as they stand here, and docs/reference/compatibility.md shows them.
Commands of one client follow one another; the two clients are typed into side by side.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One command line; what stands in braces is filled in."""

    line: str
    """Without the client's name."""
    shows: str
    """What of the output must match, a regular expression."""
    status: int = 0
    """The client's exit status."""
    admin: bool = False
    """Typed by an administrator, not by a member of project demo."""
    until: str = ""
    """A container and its status, or `gone`, to wait for afterwards."""
    types: str = ""
    """What is typed into the terminal that opens."""
    note: str = ""
    """Why this is the right outcome, where it is not plain success."""


TOP = "the client crashes on what it gets: `print(...) % titles` is Python 2"
RENAME = "the client sends what ended with 1.13, at 1.14 and above; `update --name` does it"
FORMATTER = "the client crashes on what it gets: its formatters are those of an old osc-lib"
NO_REGISTRY = "no registry can be reached from where this runs"
NO_GLANCE = "the cloud has no Glance"
NO_NEUTRON = "the cloud has no Neutron"

LOOP = "sh -c 'trap \"exit 0\" TERM; echo hello; while :; do sleep 1; done'"

ZUN = (
    Row("help", "availability-zone-list"),
    Row("help create", "usage: zun create"),
    Row("bash-completion", "availability-zone-list"),
    Row("version-list", r"v1 .*CURRENT.* 1\.1 .* 1\.40"),
    Row("availability-zone-list", "nova"),
    Row("host-list", "{host}", admin=True),
    Row("host-show {host}", "total_containers", admin=True),
    Row("create --name box --cpu 0.1 --memory 32 cirros " + LOOP, "Creating", until="box Created"),
    Row("start box", "Request to start container box has been accepted", until="box Running"),
    Row("list", "box .* Running"),
    Row("show box", r"status_detail +\| Up"),
    Row("logs box", "hello"),
    Row("exec box echo there", "there"),
    Row("top box", "unsupported operand", status=1, note=TOP),
    Row("stats box", "MEM USAGE"),
    Row("cp {folder}/greeting box:/tmp", ""),
    Row("cp box:/tmp/greeting {folder}/zun", ""),
    Row("commit box fresh:1", "Commit for container box failed: .*", note=NO_GLANCE),
    Row("pause box", "accepted", until="box Paused"),
    Row("unpause box", "accepted", until="box Running"),
    Row("restart -t 5 box", "accepted", until="box Running"),
    Row("rebuild box", "accepted", until="box Running"),
    Row("network-list box", "{network}"),
    Row("network-detach --network {network} box", "accepted", until="box Running"),
    Row("network-attach --network {network} box", "accepted", until="box Running"),
    Row("add-security-group box default", "", note=NO_NEUTRON),
    Row("remove-security-group box default", "", note=NO_NEUTRON),
    Row("rename box other", "", status=1, note=RENAME),
    Row("update --name case --memory 48 box", r"name +\| case"),
    Row("update --name box case", r"name +\| box"),
    Row("action-list box", "rebuild"),
    Row("action-show box {request}", "req-"),
    Row("kill -s SIGTERM box", "accepted", until="box Stopped"),
    Row("start box", "accepted", until="box Running"),
    Row("stop -t 5 box", "accepted", until="box Stopped"),
    Row("delete box", "accepted", until="box gone"),
    Row("run --name shell -i cirros sh", "press Enter", types="exit", until="shell Stopped"),
    Row("start shell", "accepted", until="shell Running"),
    Row("attach shell", "press Enter", types="exit", until="shell Stopped"),
    Row("delete shell", "accepted", until="shell gone"),
    Row("pull nosuch:1 {host}", r"repo +\| nosuch", admin=True),
    Row("image-list", "nosuch", admin=True),
    Row("image-show {image}", "nosuch", admin=True),
    Row("image-delete {image}", "", admin=True),
    Row("image-search cirros", "does not answer", status=1, note=NO_REGISTRY),
    Row("quota-get --usages {project}", "in_use"),
    Row("quota-defaults {project}", r"containers +\| 40"),
    Row("quota-update --disk 90 {project}", r"disk +\| 90", admin=True),
    Row("quota-delete {project}", "", admin=True),
    Row("quota-class-update --disk 90 default", r"disk +\| 90", admin=True),
    Row("quota-class-get default", r"disk +\| 90", admin=True),
    Row("registry-create --name team --domain reg.example", r"domain +\| reg.example"),
    Row("registry-list", "team"),
    Row("registry-show team", r"name +\| team"),
    Row("registry-update --username robot team", r"username +\| robot"),
    Row("registry-delete team", "accepted"),
    Row("service-list", "zun-compute.*up", admin=True),
    Row("service-disable --reason why {host} zun-compute", "why", admin=True),
    Row("service-enable {host} zun-compute", r"disabled +\| False", admin=True),
    Row("service-force-down {host} zun-compute", r"forced_down +\| True", admin=True),
    Row("service-force-down --unset {host} zun-compute", r"forced_down +\| False", admin=True),
    Row("service-delete {host} zun-compute", "", admin=True),
)
