"""Ranges and addresses: pure sums."""

import uuid
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolium import errors
from dolium.drivers.network.bridge import Bridge, BridgeOptions, _bounds, _choose, _walk
from dolium.model.network import Network, Subnet

DRIVER = Bridge(BridgeOptions(pool_v4="10.224.0.0/12", pool_v6="fd00:d011::/48"))
NETWORK = DRIVER.network("project", ())
IDS = st.uuids().map(str)


def small(prefix: int = 28) -> Network:
    subnet = Subnet(
        uuid="s",
        version=4,
        cidr=f"10.0.0.0/{prefix}",
        gateway="10.0.0.1",
        local=(str(ip_network(f"10.0.0.0/{prefix}")[3 * 2 ** (30 - prefix)]), "10.0.0.14"),
    )
    return Network(
        uuid=NETWORK.uuid, project_id="p", name="small", driver="bridge", subnets=(subnet,)
    )


def test_a_projects_network_follows_from_the_project() -> None:
    assert DRIVER.network("project", ()) == NETWORK
    assert DRIVER.network("other", ()).uuid != NETWORK.uuid
    v4, v6 = NETWORK.subnets
    assert (v4.cidr, v4.gateway, v4.local) == (
        "10.224.0.0/24",
        "10.224.0.1",
        ("10.224.0.192", "10.224.0.254"),
    )
    assert v6.cidr == "fd00:d011::/64"
    assert v6.local == ("fd00:d011:0:0:c000::", "fd00:d011::ffff:ffff:ffff:ffff")
    assert v4.uuid != v6.uuid


def test_networks_do_not_overlap() -> None:
    taken: list[str] = []
    for number in range(40):
        made = DRIVER.network(str(number), taken)
        assert not {subnet.cidr for subnet in made.subnets} & set(taken)
        taken += [subnet.cidr for subnet in made.subnets]


def test_a_pool_ends() -> None:
    driver = Bridge(BridgeOptions(pool_v4="10.0.0.0/23"))
    assert driver.network("a", ["10.0.0.0/24"]).subnets[0].cidr == "10.0.1.0/24"
    with pytest.raises(errors.Full):
        driver.network("b", ["10.0.0.0/24", "10.0.1.0/24"])


@pytest.mark.parametrize("pool", ["10.0.0.1/24", "10.0.0.0/25", "nonsense"])
def test_a_pool_that_cannot_be_is_said_at_the_start(pool: str) -> None:
    with pytest.raises(errors.StartError):
        Bridge(BridgeOptions(pool_v4=pool))


@given(IDS)
def test_a_port_follows_from_its_container(container: str) -> None:
    port = DRIVER.port(NETWORK, container, ())
    assert port == DRIVER.port(NETWORK, container, ())
    assert port.mac.startswith("02:")
    for subnet, ip in zip(NETWORK.subnets, port.fixed_ips, strict=True):
        assert subnet.local is not None
        assert ip.address != subnet.gateway
        assert ip_address(ip.address) in ip_network(subnet.cidr)
        assert int(ip_network(subnet.cidr)[1]) <= int(ip_address(ip.address))
        assert int(ip_address(ip.address)) < int(ip_address(subnet.local[0]))


@settings(max_examples=30)
@given(st.integers(min_value=0), st.integers(min_value=24, max_value=29))
def test_every_address_is_handed_out_once_and_then_no_more(seed: int, prefix: int) -> None:
    network = small(prefix)
    first, count = _bounds(network.subnets[0])
    taken: set[str] = set()
    for number in range(count - 1):
        address = str(_choose(network.subnets[0], seed + number, taken))
        assert address not in taken
        taken.add(address)
    assert "10.0.0.1" not in taken
    with pytest.raises(errors.Full):
        _choose(network.subnets[0], seed, taken)
    assert str(ip_address(first)) == "10.0.0.1"


@given(st.integers(min_value=1, max_value=300), st.integers(min_value=0))
def test_a_walk_meets_every_number_once(count: int, seed: int) -> None:
    assert sorted(_walk(count, seed)) == list(range(count))


def test_an_address_just_given_back_is_hardly_the_next() -> None:
    taken: set[str] = set()
    for _ in range(95):
        taken.add(DRIVER.port(NETWORK, str(uuid.uuid4()), taken).fixed_ips[0].address)
    back = taken.pop()
    again = [
        DRIVER.port(NETWORK, str(uuid.uuid4()), taken).fixed_ips[0].address for _ in range(200)
    ]
    assert again.count(back) < 20


def test_wanted_addresses() -> None:
    port = DRIVER.port(NETWORK, "c", (), ["10.224.0.77", "fd00:d011:0::0:77"])
    assert [ip.address for ip in port.fixed_ips] == ["10.224.0.77", "fd00:d011::77"]
    assert DRIVER.port(NETWORK, "c", (), ["10.224.0.77"]).fixed_ips[1].version == 6


@pytest.mark.parametrize(
    "wanted",
    [
        ["10.224.0.1"],  # the gateway
        ["10.224.0.0"],
        ["10.224.0.255"],
        ["10.224.0.200"],  # for command-line users
        ["10.225.0.7"],
        ["10.224.0.9"],  # in use
        ["10.224.0.5", "10.224.0.6"],
        ["nonsense"],
        ["fd00:d011::"],
    ],
)
def test_addresses_nobody_can_have(wanted: list[str]) -> None:
    with pytest.raises(errors.Refused):
        DRIVER.port(NETWORK, "c", ["10.224.0.9"], wanted)


def test_an_address_of_a_version_the_network_lacks() -> None:
    with pytest.raises(errors.Refused):
        DRIVER.port(small(), "c", (), ["fd00:d011::77"])
