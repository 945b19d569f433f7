"""What three versions of Docker really sent, replayed: everything is answered, nothing is left.

The recordings were made with another plugin, so pools and addresses are translated to ours.
"""

import json
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dolium import errors
from dolium.agent.journal import Journal
from dolium.agent.plugin.plugin import Plugin
from dolium.agent.wiring import Wiring
from dolium.drivers.binder.fake import Fake as FakeBinder
from dolium.drivers.engine.fake import Fake as FakeEngine
from dolium.model.network import Network, Subnet

RECORDINGS = sorted((Path(__file__).parent / "transcripts").glob("*.jsonl"))
INJECTED = "INJECTED ERR"
ENDS = {"Leave", "DeleteEndpoint", "ReleaseAddress"}


def _subnet(cidr: str) -> Subnet:
    piece = ip_network(cidr)
    return Subnet(
        uuid=cidr,
        version=piece.version,
        cidr=cidr,
        gateway=str(piece[-2]),
        local=(str(piece[1]), str(piece[-3])),
    )


def _pools(request: dict[str, Any]) -> list[str]:
    """The subnets of a network."""
    return [each["Pool"] for each in (request["IPv4Data"] or []) + (request["IPv6Data"] or [])]


class Replay:
    """One recording against a plugin with everything in memory."""

    def __init__(self, path: Path) -> None:
        self.calls = [json.loads(line) for line in path.read_text().splitlines()]
        self.binder = FakeBinder()
        self.wiring = Wiring(Journal(None), self.binder, FakeEngine(), "dolium", "d")
        self.plugin = Plugin(self.wiring.ledger, self.wiring.pairs, "p")
        self.network_of: dict[str, str] = {}
        self.address_of: dict[str, str] = {}
        for number, call in enumerate(self._named("NetworkDriver.CreateNetwork"), start=1):
            # One has addresses of Docker's own IPAM, another is made twice, with one pool more.
            pools = _pools(call["request"])
            uuid = self.network_of.get(pools[0], str(UUID(int=number)))
            self.network_of |= dict.fromkeys(pools, uuid)
        for uuid in set(self.network_of.values()):
            subnets = tuple(_subnet(c) for c, owner in self.network_of.items() if owner == uuid)
            network = Network(
                uuid=uuid, project_id="p", name=uuid, driver="bridge", subnets=subnets
            )
            self.wiring.ledger.keep(network, engine=True)

    def _named(self, method: str) -> Iterator[dict[str, Any]]:
        return (call for call in self.calls if call["method"] == method)

    def ours(self, method: str, request: dict[str, Any], response: Any) -> dict[str, Any]:
        """The request as Docker would have sent it to this plugin."""
        request = json.loads(json.dumps(request))
        if method == "IpamDriver.RequestPool":
            request["Options"] = {"dolium.network": self.network_of[response["Pool"]]}
            request["Pool"] = request["Pool"] and response["Pool"]
        if "PoolID" in request:
            cidr = request["PoolID"].partition("/")[2]
            request["PoolID"] = f"{self.network_of[cidr]}/{ip_network(cidr).version}"
            if (request.get("Options") or {}).get("RequestAddressType"):
                request["Address"] = ""
            elif method == "IpamDriver.ReleaseAddress":
                request["Address"] = self.address_of.get(request["Address"], "192.0.2.1")
        if method == "NetworkDriver.CreateNetwork":
            generic = {"dolium.network": self.network_of[_pools(request)[0]]}
            request["Options"]["com.docker.network.generic"] = generic
        for key in ("Address", "AddressIPv6"):
            if given := (request.get("Interface") or {}).get(key):
                address, _, prefix = given.partition("/")
                request["Interface"][key] = f"{self.address_of.get(address, address)}/{prefix}"
        return request

    def send(self, method: str, request: dict[str, Any] | None, response: Any) -> None:
        if response == INJECTED:
            if method.partition(".")[2] not in ENDS | {"Join"}:
                return  # refused before it had any effect
            self.binder.fail("make" if method.endswith("Join") else "unmake", _broken())
        body = b"" if request is None else json.dumps(self.ours(method, request, response)).encode()
        status, said = self.plugin.answer(method, body)
        answer = json.loads(said)
        assert status == 200
        assert bool(answer.get("Err")) == (response == INJECTED and method.endswith("Join")), (
            method,
            request,
            answer,
        )
        self.binder.heal()
        if method == "IpamDriver.RequestAddress":
            recorded = response["Address"].partition("/")[0]
            self.address_of[recorded] = answer["Address"].partition("/")[0]


def _broken() -> errors.DriverError:
    return errors.DriverError(why="injected")


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording(path: Path) -> None:
    replay = Replay(path)
    for call in replay.calls:
        replay.send(call["method"], call["request"], call["response"])
    ledger = replay.wiring.ledger
    ended = {
        call["request"]["EndpointID"] for call in replay._named("NetworkDriver.DeleteEndpoint")
    }
    assert not ended & set(ledger.endpoints())
    replay.wiring.tidy(set(), set())
    assert not ledger.owed()
    assert len(replay.binder.ports) <= len(ledger.endpoints())


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_call_twice(path: Path) -> None:
    """A crash may repeat any of them; what is granted afresh at each call is left out."""
    replay = Replay(path)
    for call in replay.calls:
        replay.send(call["method"], call["request"], call["response"])
        if call["method"] != "IpamDriver.RequestAddress" and call["response"] != INJECTED:
            replay.send(call["method"], call["request"], call["response"])
    replay.wiring.tidy(set(), set())
    assert not replay.wiring.ledger.owed()
