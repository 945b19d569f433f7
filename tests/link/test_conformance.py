"""What a host and the control side may rely on, whichever link joins them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from dolium import errors
from dolium.link.base import Agent, Hosts
from dolium.link.base import Control as Protocol
from dolium.link.local import LocalControl, LocalHosts
from dolium.model.registry import Login
from dolium.model.wish import Answer, Fact, Facts, Page, Question
from dolium.store import containers, hosts
from tests.link.ends import PATIENCE, Control, Echo, beside, eventually, hello

HOST = "host1"
UUID = "11111111-1111-4111-8111-111111111111"


class Ends:
    """One host on one kind of link."""

    def __init__(self, side: Control, link: Protocol, asks: Hosts, leave: Callable[[], None]):
        self.side, self.link, self.asks, self.leave = side, link, asks, leave
        self.agent: Echo


@pytest.fixture(params=["local", "https"])
def ends(request: pytest.FixtureRequest, control: Control) -> Iterator[Ends]:
    agent = Echo()
    made = _local(control, agent) if request.param == "local" else _https(control, agent)
    made.agent = agent
    yield made
    made.leave()
    agent.pump.stop()


def _local(control: Control, agent: Agent) -> Ends:
    asks = LocalHosts()
    asks.join(HOST, agent)
    return Ends(control, LocalControl(control.hosts), asks, lambda: asks.leave(HOST))


def _https(control: Control, agent: Agent) -> Ends:
    control.enrol(HOST)
    end = control.join(HOST)
    end.serve(agent)
    return Ends(control, end.control, control.link, end.stop)


def test_a_host_enrols_and_pulls(ends: Ends) -> None:
    welcome = ends.link.hello(hello(HOST, "boot-1"))
    assert (welcome.deployment, welcome.epoch) == ("deployment", 1)
    page = ends.link.wishes(HOST, "boot-1", 0, 0.0)
    assert (page.revision, page.wishes, page.full) == (1, (), True)
    assert ends.link.wishes(HOST, "boot-1", 1, 0.0) == Page(revision=1)


def test_a_poll_is_woken(ends: Ends) -> None:
    ends.link.hello(hello(HOST, "boot-1"))
    pages: list[Page] = []
    poll = beside(lambda: pages.append(ends.link.wishes(HOST, "boot-1", 1, 25.0)))
    waiting = ends.side.store.hints._waiting
    eventually(lambda: f"host:{HOST}" in waiting)
    ends.side.store.write(lambda tx: hosts.stamp(tx, HOST))
    poll.join(20)
    assert [page.revision for page in pages] == [2]


def test_facts_are_acknowledged_until_another_boot_enrols(ends: Ends) -> None:
    ends.link.hello(hello(HOST, "boot-1"))
    facts = Facts(host=HOST, boot="boot-1", facts=(Fact(uuid=UUID, sequence=7, generation=1),))
    ack = ends.link.post(facts)
    assert (ack.sequence, ack.stale) == (7, False)
    assert ends.link.hello(hello(HOST, "boot-2")).epoch == 2
    assert ends.link.post(facts).stale


def test_errors_come_back_as_what_they_were(ends: Ends) -> None:
    with pytest.raises(errors.Changed) as told:
        ends.link.wishes(HOST, "nobody", 0, 0.0)
    assert told.value.facts == {"kind": "Host", "id": HOST}


def test_strangers_are_gone_only_for_the_host_they_were_on(ends: Ends) -> None:
    mine, other = UUID, UUID.replace("1", "2")

    def work(tx: object) -> None:
        containers.bury(tx, mine, HOST, 1, 0.0)  # type: ignore[arg-type]
        containers.bury(tx, other, "host2", 1, 0.0)  # type: ignore[arg-type]

    ends.side.store.write(work)
    fate = ends.link.fate(HOST, [mine, other, "never"])
    assert (fate.gone, fate.unknown) == ((mine,), (other, "never"))


def test_a_login_is_told_to_a_containers_host_only(ends: Ends) -> None:
    ends.link.hello(hello(HOST, "boot-1"))
    login = Login(domain="registry.example", username="u", password="secret word")
    asked = []

    class Registries:
        def login(self, host: str, uuid: str) -> Login:
            asked.append((host, uuid))
            return login

    ends.side.hosts._registries = Registries()  # type: ignore[assignment]
    assert ends.link.login(HOST, "boot-1", UUID) == login
    with pytest.raises(errors.Changed):
        ends.link.login(HOST, "boot-0", UUID)
    assert asked == [(HOST, UUID)]


def test_a_question_is_answered_and_an_error_is_an_answer(ends: Ends) -> None:
    ends.link.hello(hello(HOST, "boot-1"))
    assert ends.asks.ask(HOST, Question(what="logs", uuid=UUID)) == Answer(value=UUID)
    refusal = Answer(code=errors.Absent.code, facts={"what": "it"})
    ends.agent.answers = lambda question: refusal
    assert ends.asks.ask(HOST, Question(what="execute", uuid=UUID)) == refusal


def test_a_host_that_is_not_there_is_down(ends: Ends) -> None:
    with pytest.raises(errors.HostDown):
        ends.asks.ask("nowhere", Question(what="logs", uuid=UUID))
    ends.link.hello(hello(HOST, "boot-1"))
    ends.leave()
    with pytest.raises(errors.HostDown):
        ends.asks.ask(HOST, Question(what="logs", uuid=UUID))


def heard(console: socket.socket, text: bytes) -> bytes:
    """What comes, until it ends with the text."""
    console.settimeout(PATIENCE)
    got = b""
    while not got.endswith(text):
        piece = console.recv(65536)
        assert piece, f"it ended after {got!r}"
        got += piece
    return got


def console(ends: Ends) -> socket.socket:
    ends.link.hello(hello(HOST, "boot-1"))
    return ends.asks.open(HOST, Question(what="attach", uuid=UUID))


def test_a_console_carries_bytes_both_ways(ends: Ends) -> None:
    with console(ends) as made, ends.agent.inside as inside:
        inside.sendall(b"shown")
        assert heard(made, b"shown") == b"early shown"
        made.sendall(b"typed\x03\x00")
        assert heard(inside, b"\x00") == b"typed\x03\x00"
        large = bytes(range(256)) * 8192
        sending = beside(lambda: inside.sendall(large))
        got = heard(made, large[-256:])
        while len(got) < len(large):
            got += heard(made, large[-256:])
        sending.join(PATIENCE)
        assert got == large


def test_a_process_that_ends_has_said_everything(ends: Ends) -> None:
    with console(ends) as made:
        ends.agent.inside.sendall(b"last words")
        made.sendall(b"typed into nothing")
        ends.agent.inside.close()
        assert heard(made, b"words") == b"early last words"
        assert made.recv(100) == b""


def test_a_console_that_is_left_ends_on_its_host(ends: Ends) -> None:
    with console(ends) as made, ends.agent.inside as inside:
        heard(made, b"early ")
        made.close()
        assert inside.recv(100) == b""
        eventually(lambda: len(ends.agent.pump) == 0)


def test_a_console_that_is_not_there(ends: Ends) -> None:
    ends.link.hello(hello(HOST, "boot-1"))
    with pytest.raises(errors.NoConsole, match="There is no console"):
        ends.asks.open(HOST, Question(what="nothing", uuid=UUID))
    with pytest.raises(errors.HostDown):
        ends.asks.open("nowhere", Question(what="attach", uuid=UUID))
    ends.leave()
    with pytest.raises(errors.HostDown):
        ends.asks.open(HOST, Question(what="attach", uuid=UUID))
