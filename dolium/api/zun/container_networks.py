"""Networks and security groups of a container that exists."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, shapes
from dolium.api.call import ACCEPTED, Answer, Call
from dolium.api.fields import Wrong
from dolium.api.forms import NOTHING, Form
from dolium.api.route import CONTAINER, Route
from dolium.control.attachments import Which
from dolium.model.container import ASKS, Verb, check
from dolium.model.network import Port

FIXED_IPS_SINCE = 18
"""From this version on each port is listed with its addresses; before, each address by itself."""
DEFAULT_GROUP = "default"
"""The one security group there is."""

_NAME = fields.text(1, 255, null=False)


def _address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise Wrong(f"{value!r} is not an address") from None


_WHICH = dict.fromkeys(("network", "port"), _NAME)

DETACH = Form(checks=_WHICH)
ATTACH = Form(checks=_WHICH | {"fixed_ip": _NAME.then(_address)})
GROUP = Form(checks={"name": _NAME}, required=("name",))


def network_list(call: Call) -> Answer:
    """`GET network_list`: the networks it is on."""
    ports = call.service.containers.ports(call.row)
    if call.version < FIXED_IPS_SINCE:
        found = [flat for port in ports for flat in _flat(port)]
    else:
        found = [_whole(port) for port in ports]
    return Answer(200, msgspec.json.encode({"networks": found}))


def network_detach(call: Call) -> Answer:
    """`POST network_detach?network=&port=`: one of both; it keeps its address there."""
    call.service.containers.detach(call.context, call.row, _which(call))
    return ACCEPTED


def network_attach(call: Call) -> Answer:
    """`POST network_attach?network=&port=&fixed_ip=`: on a network that it was taken off."""
    call.service.containers.attach(call.context, call.row, _which(call))
    return Answer(200, b"null")


def add_security_group(call: Call) -> Answer:
    """`POST add_security_group?name=`, until 1.14: `default` is every container's already."""
    _group(call, "add_security_group")
    raise errors.InvalidValue(why=f"Security group {DEFAULT_GROUP} has been added to container.")


def remove_security_group(call: Call) -> Answer:
    """`POST remove_security_group?name=`, until 1.14: `default` stays every container's."""
    _group(call, "remove_security_group")
    raise errors.GroupStays(group=DEFAULT_GROUP)


def _which(call: Call) -> Which:
    given = call.given
    if ("network" in given) == ("port" in given):
        raise errors.Invalid(field="network", why="It needs either a 'network' or a 'port'.")
    return Which(**given)


def _group(call: Call, what: str) -> None:
    name = call.given["name"]
    check(what, ASKS[Verb.UPDATE].allowed, call.row.uuid, call.row.status)
    if name != DEFAULT_GROUP:
        raise errors.InvalidValue(why=f"Security group {name} not found.")


def _whole(port: Port) -> dict[str, Any]:
    ips = [
        {"subnet_id": ip.subnet_id, "version": ip.version, "ip_address": ip.address}
        for ip in port.fixed_ips
    ]
    return {"net_id": port.network_uuid, "port_id": port.uuid, "fixed_ips": ips}


def _flat(port: Port) -> list[dict[str, Any]]:
    return [
        {
            "net_id": port.network_uuid,
            "subnet_id": ip.subnet_id,
            "port_id": port.uuid,
            "version": ip.version,
            "ip_address": ip.address,
        }
        for ip in port.fixed_ips
    ]


ROUTES = (
    Route(
        "GET",
        f"{CONTAINER}/network_list",
        network_list,
        "container:network_list",
        since=13,
        params=NOTHING,
        told=shapes.Attachments,
    ),
    Route(
        "POST",
        f"{CONTAINER}/network_detach",
        network_detach,
        "container:network_detach",
        since=6,
        params=DETACH,
        status=202,
    ),
    Route(
        "POST",
        f"{CONTAINER}/network_attach",
        network_attach,
        "container:network_attach",
        since=8,
        params=ATTACH,
    ),
    Route(
        "POST",
        f"{CONTAINER}/add_security_group",
        add_security_group,
        "container:add_security_group",
        until=14,
        params=GROUP,
        status=202,
    ),
    Route(
        "POST",
        f"{CONTAINER}/remove_security_group",
        remove_security_group,
        "container:remove_security_group",
        until=14,
        params=GROUP,
        status=202,
    ),
)
