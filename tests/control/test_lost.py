"""A host falls silent: what users see, what is made anew elsewhere, and what is not."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.control.lost import OPERATOR, PROMISE
from dolium.model.container import RestartPolicy, Verb
from dolium.model.metric import HEALED
from dolium.store import containers, liveness
from tests.control.fleet import PULL_S, Fleet

SILENT = 30 + PULL_S + 3
"""Seconds after which everybody knows."""


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_containers_of_a_silent_host_are_unknown_and_come_back_with_it(fleet: Fleet) -> None:
    uuid, stopped = fleet.place(), fleet.place(name="c2")
    row = fleet.containers.find(fleet.who(), stopped)
    fleet.containers.ask(fleet.who(), row, Verb.STOP, {})
    fleet.run(2 * PULL_S)
    assert fleet.shown(stopped) == ("host1", "Stopped")
    fleet.machines["host1"].link.cut = True
    fleet.run(SILENT)
    assert fleet.state("host1") == (True, False, None)
    assert fleet.shown(uuid) == fleet.shown(stopped) == ("host1", "Unknown")
    assert fleet.reason(uuid).startswith("Host host1 has been silent since 20")
    assert not fleet.services.host("host1").service.up
    fleet.machines["host1"].link.cut = False  # its agent was only cut off, and is the same
    fleet.run(2 * PULL_S)
    assert fleet.state("host1") == (False, False, None)
    assert fleet.shown(uuid) == ("host1", "Running")
    assert fleet.shown(stopped) == ("host1", "Stopped")
    assert fleet.reason(uuid) == ""


def test_nothing_is_placed_on_a_silent_host(fleet: Fleet) -> None:
    for name in ("host1", "host2"):
        fleet.services.disable(name, None)
    fleet.machines["host3"].link.cut = True
    fleet.run(SILENT)
    uuid = fleet.create("late")
    fleet.run(1)
    assert fleet.shown(uuid) == (None, "Error")


def test_without_a_proof_nothing_is_started_twice(fleet: Fleet) -> None:
    uuid = fleet.place(auto_heal=True)
    fleet.machines["host1"].power(False)
    fleet.run(600)
    assert fleet.shown(uuid) == ("host1", "Unknown")
    assert fleet.on(uuid) == []
    fleet.machines["host1"].power(True)
    fleet.run(2 * PULL_S)
    assert fleet.shown(uuid) == ("host1", "Running")


def test_a_fence_proves_it_and_the_container_runs_elsewhere(fleet: Fleet) -> None:
    uuid, other = fleet.place(auto_heal=True), fleet.place(name="c2")
    fleet.fence.known["host1"] = False
    fleet.fence.switch = lambda name: fleet.machines[name].power(False)
    fleet.machines["host1"].link.cut = True  # it lives on, and so do its containers
    fleet.run(SILENT + 2 * PULL_S)
    assert fleet.state("host1") == (True, False, "its power is off")
    host, status = fleet.shown(uuid)
    assert (host in ("host2", "host3"), status) == (True, "Running")
    assert fleet.on(uuid) == [host]
    assert fleet.store.meter.counts(HEALED) == {(): 1}
    assert fleet.shown(other) == ("host1", "Unknown")
    assert fleet.reason(other) == "Host host1 is gone (its power is off); auto_heal is off"
    row = fleet.containers.find(fleet.who(), uuid)
    healed, made = fleet.containers.actions(row)
    assert (healed.verb, healed.message, made.verb) == ("create", None, "create")
    assert healed.events[0].event == "Made anew: host host1 is gone (its power is off)"
    assert healed.request_id != made.request_id
    assert fleet.services.host("host1").service.used_cpu_m == 1000  # only the other's
    fleet.machines["host1"].link.cut = False
    fleet.machines["host1"].power(True)
    fleet.run(4 * PULL_S)
    assert fleet.shown(uuid) == (host, "Running")
    assert fleet.on(uuid) == [host]
    assert fleet.shown(other) == ("host1", "Running")
    names = [box.labels.uuid for box in fleet.machines["host1"].engine.boxes.values()]
    assert names == [other]


def test_it_may_come_back_to_the_host_that_was_lost(fleet: Fleet) -> None:
    fleet.fence.known = {"host1": True, "host2": True}
    uuid = fleet.place(auto_heal=True)
    fleet.services.disable("host3", None)
    fleet.machines["host1"].power(False)
    fleet.run(SILENT + 2 * PULL_S)
    assert fleet.shown(uuid) == ("host2", "Running")
    fleet.machines["host1"].link.cut = True
    fleet.machines["host1"].power(True)
    fleet.run(2)
    fleet.machines["host1"].link.cut = False
    fleet.run(2 * PULL_S)
    fleet.machines["host2"].power(False)
    fleet.run(SILENT + 2 * PULL_S)
    assert fleet.shown(uuid) == ("host1", "Running")
    (box,) = fleet.machines["host1"].engine.boxes.values()
    assert box.labels.generation == fleet.wish_generation(uuid)


def test_an_operators_word_is_about_the_present_silence(fleet: Fleet) -> None:
    uuid = fleet.place(auto_heal=True)
    fleet.services.force_down("host1", True)
    assert fleet.shown(uuid) == ("host1", "Unknown")
    fleet.run(2 * PULL_S)
    assert fleet.shown(uuid) == ("host1", "Running")  # it says so itself
    fleet.machines["host1"].power(False)
    fleet.run(SILENT + 2 * PULL_S)
    # It has spoken since: that was another word, about another silence.
    assert fleet.state("host1") == (True, False, None)
    fleet.services.force_down("host1", True)
    fleet.run(2 * PULL_S)
    assert fleet.state("host1") == (True, False, OPERATOR)
    host, status = fleet.shown(uuid)
    assert host != "host1"
    assert status == "Running"


def test_an_operator_may_be_quicker_than_the_judge(fleet: Fleet) -> None:
    uuid = fleet.place(auto_heal=True)
    fleet.machines["host1"].power(False)
    fleet.run(2)
    fleet.services.force_down("host1", True)
    fleet.run(10)
    assert fleet.shown(uuid) == ("host1", "Unknown")
    assert fleet.on(uuid) == []
    fleet.run(SILENT)
    assert fleet.state("host1") == (True, False, OPERATOR)
    assert fleet.shown(uuid)[1] == "Running"


def test_the_strongest_word_counts_at_once(fleet: Fleet) -> None:
    uuid = fleet.place(auto_heal=True)
    fleet.machines["host1"].power(False)
    fleet.services.declare("host1")
    fleet.run(2 * PULL_S)
    host, status = fleet.shown(uuid)
    assert host != "host1"
    assert status == "Running"


def test_a_host_that_was_given_up_wrongly_stops_acting_and_gives_way(fleet: Fleet) -> None:
    uuid = fleet.place(auto_heal=True)
    machine = fleet.machines["host1"]
    machine.link.cut = True
    fleet.services.declare("host1")
    fleet.check = lambda: None  # type: ignore[method-assign]  # the operator was wrong
    fleet.run(2 * PULL_S)
    host, _ = fleet.shown(uuid)
    assert host != "host1"
    assert len(fleet.on(uuid)) == 2
    machine.link.cut = False
    fleet.run(2 * PULL_S)
    assert fleet.on(uuid) == [host]
    assert fleet.shown(uuid) == (host, "Running")
    assert machine.core is not None
    assert not machine.core.notes.lives()


def test_agents_that_promised_stop_what_may_run_elsewhere() -> None:
    fleet = Fleet(lease_s=30)
    uuid, other = fleet.place(auto_heal=True), fleet.place(name="c2")
    machine = fleet.machines["host1"]
    machine.link.cut = True
    fleet.run(30 + 1)
    assert uuid not in machine.live()
    assert other in machine.live()
    fleet.run(5)
    machine.link.cut = False  # early enough: it starts again where it was
    fleet.run(2 * PULL_S)
    assert fleet.on(uuid) == ["host1"]
    assert fleet.shown(uuid) == ("host1", "Running")
    machine.link.cut = True
    fleet.run(30 + 30 + 30 + 4 * PULL_S)
    assert fleet.state("host1") == (True, False, PROMISE)
    host, status = fleet.shown(uuid)
    assert (host != "host1", status) == (True, "Running")
    assert fleet.shown(other) == ("host1", "Unknown")
    assert other in machine.live()
    machine.link.cut = False
    fleet.run(2 * PULL_S)
    assert fleet.shown(other) == ("host1", "Running")
    assert fleet.on(uuid) == [host]


def test_who_is_answered_late_in_its_silence_is_not_given_up() -> None:
    """Its sign of life waits in the memory of a process that dies."""
    fleet = Fleet(lease_s=30)
    uuid = fleet.place(auto_heal=True)
    machine = fleet.machines["host1"]
    machine.link.cut = True
    fleet.run(30 + PULL_S + 50)
    assert fleet.state("host1") == (True, False, None)
    assert machine.core is not None
    machine.link.cut = False
    machine.core.pull()
    machine.link.cut = True
    fleet.heartbeats._names.clear()
    for _ in range(2):
        machine.core.keep_promise()
        machine.second(1)
    assert machine.live() == [uuid]
    fleet.run(25)  # and there are never two
    assert fleet.shown(uuid)[0] == "host1"


def test_a_promise_is_for_what_the_agent_knows() -> None:
    fleet = Fleet(lease_s=30)
    late, doomed = fleet.place(), fleet.place(name="c2", auto_heal=True)
    fleet.machines["host1"].link.cut = True
    row = fleet.containers.find(fleet.who(), late)
    fleet.containers.patch(fleet.who(), row, auto_heal=True)
    row = fleet.containers.find(fleet.who(), doomed)
    fleet.containers.delete(fleet.who(), row, stop=True)
    fleet.run(30 + 30 + 30 + 4 * PULL_S)
    assert fleet.state("host1") == (True, False, PROMISE)
    assert late in fleet.machines["host1"].live()  # nobody told it
    assert fleet.shown(late) == ("host1", "Unknown")
    assert "may not know the last wish" in fleet.reason(late)
    assert fleet.shown(doomed) == ("host1", "Deleting")
    fleet.machines["host1"].link.cut = False
    fleet.run(2 * PULL_S)
    assert fleet.shown(late) == ("host1", "Running")
    assert fleet.machines["host1"].live() == [late]


def test_who_judges_second_changes_nothing(fleet: Fleet) -> None:
    write = fleet.store.write
    (before,) = [host for host in fleet.services.all() if host.name == "host1"]
    beat = before.beat
    assert not write(lambda tx: liveness.prove(tx, "host1", beat, "not silent"))
    assert not write(lambda tx: liveness.silence(tx, "host1", beat - 1, held=False, at=1.0))
    assert write(lambda tx: liveness.silence(tx, "host1", beat, held=True, at=1.0))
    assert not write(lambda tx: liveness.silence(tx, "host1", beat, held=False, at=2.0))
    assert fleet.state("host1") == (True, True, None)
    assert not write(lambda tx: liveness.prove(tx, "host1", beat, "held"))
    assert write(lambda tx: liveness.sound(tx, "host1", beat + 1)) is False
    assert write(lambda tx: liveness.sound(tx, "host1", beat))
    assert not write(lambda tx: liveness.sound(tx, "host1", beat))
    assert write(lambda tx: liveness.silence(tx, "host1", beat, held=False, at=3.0))
    assert not write(lambda tx: liveness.prove(tx, "host1", beat - 1, "heard of since"))
    assert write(lambda tx: liveness.prove(tx, "host1", beat, "off"))
    assert not write(lambda tx: liveness.prove(tx, "host1", beat, "off again"))
    assert not write(lambda tx: liveness.sound(tx, "host1", beat))
    assert fleet.state("host1") == (True, False, "off")


def test_a_host_that_enrols_anew_keeps_what_was_not_taken_yet(fleet: Fleet) -> None:
    uuid = fleet.place(auto_heal=True)
    fleet.services.declare("host1")
    life = next(life for life in fleet.conductors[0]._lives() if life.name == "host1")
    fleet.machines["host1"].second(PULL_S)  # between a conductor's look and its write
    fleet.machines["host1"].second(PULL_S)
    with pytest.raises(errors.Changed):
        fleet.store.write(lambda tx: fleet.conductors[0]._take(uuid, life, tx))
    fleet.run(2 * PULL_S)
    assert fleet.shown(uuid) == ("host1", "Running")


def test_many_at_once_are_not_healed_until_somebody_says_so() -> None:
    fleet = Fleet(12)
    uuid = fleet.place(auto_heal=True)
    for name in ("host1", "host2"):
        fleet.fence.known[name] = True
        fleet.machines[name].power(False)
    fleet.run(SILENT + 60)
    assert fleet.state("host1") == fleet.state("host2") == (True, True, None)
    assert fleet.shown(uuid) == ("host1", "Unknown")
    assert fleet.fence.asked == []
    fleet.services.heal("host1")
    fleet.run(2 * PULL_S)
    assert fleet.state("host1") == (True, False, "its power is off")
    assert fleet.state("host2") == (True, True, None)
    assert fleet.shown(uuid)[1] == "Running"


def test_who_fell_first_is_held_with_those_that_follow() -> None:
    fleet = Fleet(24)
    for name in ("host1", "host2", "host3"):  # two are few enough, three are too many
        fleet.machines[name].link.cut = True
        fleet.run(10)
    fleet.run(SILENT)
    for name in ("host1", "host2", "host3"):
        assert fleet.state(name) == (True, True, None)


def test_a_whole_zone_at_once_is_not_healed() -> None:
    fleet = Fleet(24, zones=[f"z{number}" for number in range(12)])
    uuid = fleet.place(auto_heal=True)
    for name in ("host1", "host13"):  # less than a tenth, but all of zone z0
        fleet.fence.known[name] = True
        fleet.machines[name].link.cut = True
    fleet.run(SILENT + 20)
    assert fleet.state("host1")[:2] == (True, True)
    assert fleet.shown(uuid) == ("host1", "Unknown")


def test_what_was_to_be_deleted_is_gone_with_the_host(fleet: Fleet) -> None:
    uuid = fleet.place()
    fleet.machines["host1"].power(False)
    fleet.run(SILENT)
    fleet.containers.delete(fleet.who(), fleet.containers.find(fleet.who(), uuid), stop=True)
    fleet.run(PULL_S)
    assert fleet.shown(uuid) == ("host1", "Deleting")
    fleet.fence.known["host1"] = True
    fleet.run(20)
    assert fleet.on(uuid) == []
    assert fleet.services.host("host1").containers == 0
    fleet.machines["host1"].power(True)
    fleet.run(2 * PULL_S)
    assert not fleet.machines["host1"].engine.boxes


def test_what_was_deleted_is_remembered_for_as_long_as_its_host_is_away(fleet: Fleet) -> None:
    uuid = fleet.place()
    fleet.machines["host1"].power(False)
    fleet.services.declare("host1")
    fleet.containers.delete(fleet.who(), fleet.containers.find(fleet.who(), uuid), force=True)
    fleet.run(20)
    assert fleet.services.host("host1").containers == 0

    def sweep() -> None:
        long_ago = fleet.clock.now() - 10
        fleet.store.write(lambda tx: containers.trim(tx, long_ago))

    fleet.run(20)
    sweep()
    fleet.machines["host1"].power(True)
    machine = fleet.machines["host1"]
    assert machine.core is not None
    machine.core.hello()
    sweep()
    fleet.run(2 * PULL_S)
    assert not machine.engine.boxes


def test_what_had_ended_is_not_run_again(fleet: Fleet) -> None:
    ended = fleet.place(auto_heal=True)
    again = fleet.place(name="c2", auto_heal=True, restart_policy=RestartPolicy(name="always"))
    engine = fleet.machines["host1"].engine
    for box in list(engine.boxes.values()):
        engine.exit(box.name, 0)
    fleet.run(2 * PULL_S)
    assert fleet.shown(ended) == ("host1", "Stopped")
    fleet.fence.known["host1"] = True
    fleet.machines["host1"].power(False)
    fleet.run(SILENT + 2 * PULL_S)
    assert fleet.shown(ended) == ("host1", "Unknown")
    assert fleet.reason(ended).endswith("it had ended before")
    assert fleet.shown(again)[1] == "Running"


def test_a_resurrected_host_starts_nothing_before_it_was_told_everything(fleet: Fleet) -> None:
    uuid = fleet.place(auto_heal=True, restart_policy=RestartPolicy(name="always"))
    fleet.fence.known["host1"] = True
    machine = fleet.machines["host1"]
    machine.power(False)
    fleet.run(SILENT + 2 * PULL_S)
    host, _ = fleet.shown(uuid)
    machine.power(True)
    machine.link.cut = True
    fleet.run(60)  # its journal says: running, to be kept running
    assert fleet.on(uuid) == [host]
    machine.link.cut = False
    assert machine.core is not None
    machine.core.hello()
    machine.core.agenda.add(uuid)
    assert machine.core.agenda.take() == uuid
    assert machine.core.step(uuid) == "not enrolled"
    machine.core.agenda.done(uuid)
    fleet.run(2 * PULL_S)
    assert fleet.on(uuid) == [host]
    assert not machine.engine.boxes
