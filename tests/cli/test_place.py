"""Where a machine stands: from the configuration to what the agent tells of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dolium import conf, errors
from dolium.agent.inventory import Place, inventory
from dolium.cli.machine import place
from dolium.cli.roles import policy
from dolium.drivers.engine.base import Facts
from dolium.model.host import Inventory
from dolium.placing.pick import Pack, Spread


def facts() -> Facts:
    return Facts(
        name="fake", version="1", cpus=4, memory_mib=1024, disk_gib=10, cpu_ids=(0, 1, 2, 3)
    )


def test_what_is_configured_is_told(tmp_path: Path) -> None:
    file = tmp_path / "dolium.conf"
    file.write_text(
        "[place]\nregion = east\nzone = a\nrack = r1\nhypervisor = big1\n"
        "labels = disk=ssd, arch = arm\nenable_cpu_pinning = true\n"
    )
    told = inventory("h1", place(conf.load([file]).place), facts(), {"pin"})
    assert told.path == ("east", "east/a", "east/a/r1", "east/a/r1/big1", "east/a/r1/big1/h1")
    assert (told.labels, told.enable_cpu_pinning) == ({"disk": "ssd", "arch": "arm"}, True)


def test_what_the_engine_can_not_do_is_not_promised() -> None:
    pins = Place(enable_cpu_pinning=True)
    assert not inventory("h1", pins, facts(), {"stats"}).enable_cpu_pinning
    silent = msgspec.structs.replace(facts(), cpu_ids=())
    assert not inventory("h1", pins, silent, {"pin"}).enable_cpu_pinning


def test_nothing_configured_is_the_zone_nova_and_a_machine_of_its_own() -> None:
    told = inventory("h1", place(conf.Place()), facts(), {"pin"})
    assert told == inventory("h1", Place(), facts(), {"pin"})
    assert told.path == ("", "/nova", "/nova/", "/nova//h1", "/nova//h1/h1")


def test_an_older_agent_tells_less() -> None:
    raw = b'{"hostname": "h1", "cpus": 1, "memory_mib": 1, "disk_gib": 1, "zone": "a"}'
    assert msgspec.json.decode(raw, type=Inventory).path[1] == "/a"


@pytest.mark.parametrize("line", ["rack = a/b", "zone =", "labels = ssd"])
def test_what_can_not_be_a_name_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "dolium.conf"
    file.write_text(f"[place]\n{line}\n")
    with pytest.raises(errors.StartError, match="The configuration can't be read"):
        place(conf.load([file]).place)


def test_the_policy_is_chosen_by_name() -> None:
    assert isinstance(policy(conf.Placing()), Spread)
    assert isinstance(policy(conf.Placing(policy="pack")), Pack)
    with pytest.raises(errors.StartError, match="no placing driver named 'best'"):
        policy(conf.Placing(policy="best"))
