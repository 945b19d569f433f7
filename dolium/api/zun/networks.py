"""Networks, as far as administrators of a container service see them.

Networks are made for projects by the network driver; nobody makes one here.
"""

from __future__ import annotations

import msgspec

from dolium import errors
from dolium.api import fields, shapes
from dolium.api.call import GONE, Answer, Call
from dolium.api.forms import Form
from dolium.api.route import Route

CREATION = Form(checks={"name": fields.text(2, 255), "neutron_net_id": fields.text(1, 255)})


def create(call: Call) -> Answer:
    """`POST /v1/networks`: makes a network known to the service, which all are that there are."""
    given = call.given
    if "name" not in given:  # null will do
        raise errors.Missing(field="name")
    if given.get("neutron_net_id") is None:
        raise errors.Missing(field="neutron_net_id")
    network = call.service.networks.find(given["neutron_net_id"])
    told = {
        "uuid": network.uuid,
        "project_id": network.project_id,
        "user_id": call.context.user_id,
        "name": network.uuid,
        "network_id": None,
        "neutron_net_id": network.uuid,
    }
    return Answer(200, msgspec.json.encode(told))


def delete(call: Call) -> Answer:
    """`DELETE /v1/networks/{network}`."""
    call.service.networks.delete(fields.one("network", call.path["network"], fields.text(1, 255)))
    return GONE


ROUTES = (
    Route("POST", "/v1/networks", create, "network:create", body=CREATION, told=shapes.Network),
    Route("DELETE", "/v1/networks/{network}", delete, "network:delete", since=27, status=204),
)
