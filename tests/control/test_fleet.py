"""Whatever happens to hosts, links, agents and power: never two live copies, and all is well
again when it is over.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.control.fleet import Fleet, Machine

NAMES = [f"host{n}" for n in range(1, 5)]


def _reported(fleet: Fleet, machine: Machine) -> None:
    """An operator who looked: only what is really off is declared down."""
    if not machine.on:
        fleet.services.force_down(machine.name, True)
        fleet.services.heal(machine.name)


def _back(fleet: Fleet, machine: Machine) -> None:
    machine.power(True)
    fleet.services.force_down(machine.name, False)


EVENTS: dict[str, Callable[[Fleet, Machine], None]] = {
    "cut": lambda _, machine: setattr(machine.link, "cut", True),
    "joined": lambda _, machine: setattr(machine.link, "cut", False),
    "power off": lambda _, machine: machine.power(False),
    "power on": _back,
    "declared": _reported,
    "time": lambda fleet, _: fleet.run(1),
}
DEATHS: dict[str, Callable[[Fleet, Machine], None]] = {
    "agent killed": lambda _, machine: machine.die(),
    "agent started": lambda _, machine: machine.wake(),
}
"""What an agent that keeps a promise must be guarded against."""


def play(fleet: Fleet, story: list[tuple[str, str, int]]) -> None:
    for event, name, seconds in story:
        (EVENTS | DEATHS)[event](fleet, fleet.machines[name])
        fleet.run(seconds)


def calm(fleet: Fleet) -> None:
    for name, machine in fleet.machines.items():
        machine.link.cut = False
        machine.power(True)
        machine.wake()
        fleet.services.force_down(name, False)
    fleet.run(90)


def stories(events: list[str]) -> st.SearchStrategy[list[tuple[str, str, int]]]:
    return st.lists(
        st.tuples(
            st.sampled_from(events), st.sampled_from(NAMES), st.sampled_from([0, 1, 7, 25, 45, 110])
        ),
        max_size=10,
    )


def made(fleet: Fleet) -> list[str]:
    return [
        fleet.place("host1", "c1", auto_heal=True),
        fleet.place("host2", "c2", auto_heal=True),
        fleet.place("host2", "c3"),
    ]


SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@SETTINGS
@given(story=stories([*EVENTS, *DEATHS]), reaches=st.booleans())
def test_with_a_power_switch(story: list[tuple[str, str, int]], reaches: bool) -> None:
    fleet = Fleet(4)
    fleet.fence.switch = (lambda name: fleet.machines[name].power(False)) if reaches else None
    really = fleet.fence.off

    def off(host: str) -> str:
        fleet.fence.known[host] = not fleet.machines[host].on
        return really(host)

    fleet.fence.off = off  # type: ignore[method-assign]
    uuids = made(fleet)
    play(fleet, story)
    calm(fleet)
    _all_well(fleet, uuids)


@SETTINGS
@given(stories([*EVENTS]))
def test_with_a_promise(story: list[tuple[str, str, int]]) -> None:
    fleet = Fleet(4, lease_s=30)
    uuids = made(fleet)
    play(fleet, story)
    calm(fleet)
    _all_well(fleet, uuids)


def _all_well(fleet: Fleet, uuids: list[str]) -> None:
    for uuid in uuids:
        host, status = fleet.shown(uuid)
        assert status == "Running", fleet.reason(uuid)
        assert fleet.on(uuid) == [host]
    for name, machine in fleet.machines.items():
        found = {box.labels.uuid for box in machine.engine.boxes.values()}
        assert found == {uuid for uuid in uuids if fleet.shown(uuid)[0] == name}
        service = fleet.services.host(name).service
        assert service.used_cpu_m == 1000 * len(found)
