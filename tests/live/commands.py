"""Every command of the clients people have, with what comes of it against `dolium up`.

`test_commands.py` runs them as they stand here, and docs/reference/compatibility.md shows them.
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
    """A container and its status, `gone`, or what its log `says`, to wait for afterwards; a capsule
    and `over`; or `host back`, as an agent that lives enrols again."""
    types: str = ""
    """What is typed into the terminal that opens."""
    note: str = ""
    """Why this is the right outcome, where it is not plain success."""


TOP = "the client crashes on what it gets: `print(...) % titles` is Python 2"
RENAME = "refused (Zun does too): ended with 1.13, the client asks at 1.40; `update --name` does it"
GROUPS = "refused (Zun does too): ended with 1.14, the client asks at 1.40"
FORMATTER = "the client crashes on what it gets: its formatters are those of an old osc-lib"
NO_REGISTRY = "says that the registry does not answer"
NO_GLANCE = "says that the cloud has no Glance"
NO_NEUTRON = "says that the cloud has no Neutron"

NEUTRON = "Service 'network' is disabled"

LOOP = "sh -c 'trap \"exit 0\" TERM; echo hello; while :; do sleep 0.2; done'"

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
    Row("show box", r"status_detail +\| Up", until="box says"),
    Row("logs box", "hello"),
    Row("exec box echo there", "there"),
    Row("top box", "unsupported operand", status=1, note=TOP),
    Row("stats box", "MEM USAGE"),
    Row("cp {folder}/greeting box:/tmp", ""),
    Row("cp box:/tmp/greeting {folder}/zun", ""),
    Row("commit box fresh:1", "Images are kept by Glance", note=NO_GLANCE),
    Row("pause box", "accepted", until="box Paused"),
    Row("unpause box", "accepted", until="box Running"),
    Row("restart -t 5 box", "accepted", until="box Running"),
    Row("rebuild box", "accepted", until="box Running"),
    Row("network-list box", "{network}"),
    Row("network-detach --network {network} box", "accepted", until="box Running"),
    Row("network-attach --network {network} box", "accepted", until="box Running"),
    Row("add-security-group box default", "HTTP 406", note=GROUPS),
    Row("remove-security-group box default", "HTTP 406", note=GROUPS),
    Row("rename box other", "HTTP 406", status=1, note=RENAME),
    Row("update --name case --memory 48 box", r"name +\| case"),
    Row("update --name box case", r"name +\| box"),
    Row("action-list box", "rebuild"),
    Row("action-show box {request}", "{request}"),
    Row("kill -s SIGTERM box", "accepted", until="box Stopped"),
    Row("start box", "accepted", until="box Running"),
    Row("stop -t 5 box", "accepted", until="box Stopped"),
    Row("delete box", "accepted", until="box gone"),
    Row("run --name brief cirros true", "Creating", until="brief Stopped"),
    Row("delete brief", "accepted", until="brief gone"),
    Row("create --name shell -i cirros sh", "Creating", until="shell Created"),
    Row("start shell", "accepted", until="shell Running"),
    Row("attach shell", "press Enter", types="exit", until="shell Stopped"),
    Row("delete shell", "accepted", until="shell gone"),
    Row("pull nosuch/zun {host}", "nosuch/zun", admin=True),
    Row("image-list", "nosuch/zun", admin=True),
    Row("image-show {image}", "nosuch/zun", admin=True),
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
    Row("capsule-create -f {folder}/zun.json", "has been accepted"),
    Row("capsule-list", "pod-zun"),
    Row("capsule-describe pod-zun", "tier.*web"),
    Row("capsule-delete pod-zun", "has been accepted", until="pod-zun over"),
)

ZUN_SERVICES = (
    Row("service-list", "zun-compute.*up", admin=True),
    Row("service-disable --reason why {host} zun-compute", "why", admin=True),
    Row("service-enable {host} zun-compute", r"disabled +\| False", admin=True),
    Row("service-force-down {host} zun-compute", r"forced_down +\| True", admin=True),
    Row("service-force-down --unset {host} zun-compute", r"forced_down +\| False", admin=True),
    Row("service-delete {host} zun-compute", "accepted", admin=True, until="host back"),
)

OPENSTACK = (
    Row("appcontainer availability zone list", "nova"),
    Row("appcontainer host list", "{host}", admin=True),
    Row("appcontainer host show {host}", "total_containers", admin=True),
    Row(
        "appcontainer create --name jar --cpu 0.1 --memory 32 --wait cirros " + LOOP,
        "Created",
        until="jar Created",
    ),
    Row("appcontainer start jar", "accepted", until="jar Running"),
    Row("appcontainer list", "jar .* Running"),
    Row("appcontainer show jar", r"status_detail +\| Up", until="jar says"),
    Row("appcontainer logs jar", "hello"),
    Row("appcontainer exec jar echo there", "there"),
    Row("appcontainer top jar", "unsupported operand", status=1, note=TOP),
    Row("appcontainer stats jar", "MEM USAGE"),
    Row("appcontainer cp {folder}/greeting jar:/tmp", ""),
    Row("appcontainer cp jar:/tmp/greeting {folder}/openstack", ""),
    Row("appcontainer commit jar fresh:1", "Images are kept by Glance", note=NO_GLANCE),
    Row("appcontainer pause jar", "accepted", until="jar Paused"),
    Row("appcontainer unpause jar", "accepted", until="jar Running"),
    Row("appcontainer restart --timeout 5 jar", "accepted", until="jar Running"),
    Row("appcontainer rebuild jar", "accepted", until="jar Running"),
    Row("appcontainer network list jar", "Invalid formatter", status=1, note=FORMATTER),
    Row("appcontainer network detach --network {network} jar", "accepted", until="jar Running"),
    Row("appcontainer network attach --network {network} jar", "accepted", until="jar Running"),
    Row("appcontainer add security group jar default", "HTTP 406", note=GROUPS),
    Row("appcontainer remove security group jar default", "HTTP 406", note=GROUPS),
    Row("appcontainer add floating ip jar 192.0.2.1", NEUTRON, status=1, note=NO_NEUTRON),
    Row("appcontainer remove floating ip 192.0.2.1", NEUTRON, status=1, note=NO_NEUTRON),
    Row("appcontainer set --memory 48 jar", r"memory +\| 48"),
    Row("appcontainer action list jar", "rebuild"),
    Row("appcontainer action show jar {request}", "{request}"),
    Row("appcontainer kill --signal SIGTERM jar", "accepted", until="jar Stopped"),
    Row("appcontainer start jar", "accepted", until="jar Running"),
    Row("appcontainer stop --timeout 5 jar", "accepted", until="jar Stopped"),
    Row("appcontainer delete --wait jar", "", until="jar gone"),
    Row("appcontainer run --name sip cirros true", "Creating", until="sip Stopped"),
    Row("appcontainer delete sip", "accepted", until="sip gone"),
    Row("appcontainer create --name bowl --interactive cirros sh", "", until="bowl Created"),
    Row("appcontainer start bowl", "accepted", until="bowl Running"),
    Row("appcontainer attach bowl", "press Enter", types="exit", until="bowl Stopped"),
    Row("appcontainer delete bowl", "accepted", until="bowl gone"),
    Row("appcontainer image pull nosuch/openstack {host}", "nosuch/openstack", admin=True),
    Row("appcontainer image list", "nosuch/openstack", admin=True),
    Row("appcontainer image show {image}", "nosuch/openstack", admin=True),
    Row("appcontainer image delete {image}", "", admin=True),
    Row("appcontainer image search cirros", "does not answer", status=1, note=NO_REGISTRY),
    Row("appcontainer quota get --usages {project}", "in_use"),
    Row("appcontainer quota default {project}", r"containers +\| 40"),
    Row("appcontainer quota update --cpu 19 {project}", r"cpu +\| 19", admin=True),
    Row("appcontainer quota delete {project}", "", admin=True),
    Row("appcontainer quota class update --cpu 19 default", r"cpu +\| 19", admin=True),
    Row("appcontainer quota class get default", r"cpu +\| 19", admin=True),
    Row("appcontainer registry create --name jars --domain jars.example", "jars.example"),
    Row("appcontainer registry list", "jars"),
    Row("appcontainer registry show jars", "jars.example"),
    Row("appcontainer registry update --username robot jars", "robot"),
    Row("appcontainer registry delete jars", "accepted"),
    Row("capsule create --file {folder}/openstack.json", r"status +\| Creating"),
    Row("capsule list", "pod-openstack"),
    Row("capsule show pod-openstack", r"cpu +\| 0.2"),
    Row("capsule delete pod-openstack", "has been accepted", until="pod-openstack over"),
)

OPENSTACK_SERVICES = (
    Row("appcontainer service list", "zun-compute.*up", admin=True),
    Row("appcontainer service disable --reason why {host} zun-compute", "why", admin=True),
    Row("appcontainer service enable {host} zun-compute", "False", admin=True),
    Row("appcontainer service forcedown {host} zun-compute", "True", admin=True),
    Row("appcontainer service forcedown --unset {host} zun-compute", "False", admin=True),
    Row("appcontainer service delete {host} zun-compute", "", admin=True, until="host back"),
)

PHASES: tuple[dict[str, tuple[Row, ...]], ...] = (
    {"zun": ZUN, "openstack": OPENSTACK},
    {"zun": ZUN_SERVICES},
    {"openstack": OPENSTACK_SERVICES},
)
"""What each client is told; clients of one phase are typed into side by side."""
