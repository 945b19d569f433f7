"""A host sees and reports only what is its own."""

from __future__ import annotations

import msgspec

from dolium.model.container import State, Verb
from dolium.model.host import Hello
from dolium.model.wish import Ack, Facts
from tests.control.world import HOST, World

OTHER = "host2"


def world() -> tuple[World, str]:
    """host1 with a running container, and host2 without any."""
    made = World()
    uuid = made.running()
    other = msgspec.structs.replace(made.inventory, hostname=OTHER)
    made.hosts.hello(Hello(host=OTHER, boot="boot-2", inventory=other))
    return made, uuid


def test_another_hosts_containers_are_not_among_the_wishes() -> None:
    made, uuid = world()
    assert [wish.uuid for wish in made.hosts.wishes(HOST, made.boot, 0, 0).wishes] == [uuid]
    assert made.hosts.wishes(OTHER, "boot-2", 0, 0).wishes == ()


def test_facts_about_another_hosts_container_change_nothing() -> None:
    made, uuid = world()
    for more in (
        {"seen": made.seen(uuid, State.EXITED, exit_code=1)},
        {"gone": True},
        {"seen": None, "reason": "it was never mine"},
    ):
        fact = made.fact(uuid, **more)
        ack = made.hosts.post(Facts(host=OTHER, boot="boot-2", facts=(fact,)))
        assert ack == Ack(sequence=fact.sequence)
        assert made.status(uuid) == "Running"


def test_results_of_another_hosts_commands_close_nothing() -> None:
    made, uuid = world()
    made.containers.ask(made.who(), made.containers.find(made.who(), uuid), Verb.STOP, {})
    fact = made.fact(uuid, generation=2, results=(made.done(uuid),))
    made.hosts.post(Facts(host=OTHER, boot="boot-2", facts=(fact,)))
    assert [command.verb for command in made.wish(uuid).commands] == [Verb.STOP]


def test_of_another_hosts_containers_a_host_learns_nothing() -> None:
    made, uuid = world()
    assert made.hosts.fate(OTHER, [uuid, "never"]).unknown == (uuid, "never")
    own = made.hosts.fate(HOST, [uuid, "never"])
    assert (own.gone, own.unknown) == ((), ("never",))
    made.containers.delete(made.who(), made.containers.find(made.who(), uuid), force=True)
    made.post(made.fact(uuid, generation=2, gone=True, results=(made.done(uuid),)))
    assert made.hosts.fate(OTHER, [uuid]).unknown == (uuid,)
    assert made.hosts.fate(HOST, [uuid]).gone == (uuid,)


def test_where_a_host_answers_is_written_down_and_forgotten() -> None:
    made, _ = world()
    hello = Hello(host=OTHER, boot="boot-3", inventory=made.inventory, address="::1", port=9519)
    made.hosts.hello(hello)
    assert made.hosts.place(OTHER) == ("::1", 9519)
    assert made.hosts.place(HOST) is None
    made.hosts.hello(msgspec.structs.replace(hello, address="", port=0))
    assert made.hosts.place(OTHER) is None
