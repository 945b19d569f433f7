"""The agent dies at any write or driver call, in turn; Docker lives on and gives up the call.

Whatever was going on: afterwards a container starts and ends as ever, and nothing is left over.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from dolium import errors
from dolium.agent.journal import Journal
from dolium.drivers.engine.base import Plug
from tests.agent.plugin.test_plugin import POOL, THE_WISH, World
from tests.agent.plugin.test_wiring import BOX, NET


class Killed(BaseException):
    """The process ends here."""


class Countdown:
    """Dies at the n-th step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, *_: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class MortalJournal(Journal):
    """Dies before and after writes; what was not committed is lost."""

    def __init__(self, countdown: Countdown) -> None:
        super().__init__(None)
        self._countdown = countdown

    @contextmanager
    def together(self) -> Iterator[None]:
        outermost = not self._db.in_transaction
        with super().together():
            yield
        if outermost:
            self._countdown.step()

    def put(self, kind: str, key: str, doc: msgspec.Struct) -> None:
        self._countdown.step()
        super().put(kind, key, doc)
        self._countdown.step()

    def drop(self, kind: str, key: str) -> bool:
        self._countdown.step()
        return super().drop(kind, key)


class MortalWorld(World):
    """A host whose agent dies once."""

    def __init__(self, countdown: Countdown) -> None:
        super().__init__()
        self.journal = MortalJournal(countdown)
        self.wake()
        self.binder.hook = self.engine.hook = countdown.step
        self.joined: set[str] = set()

    def life(self) -> None:
        """A container starts twice and goes, and somebody at the command line has one too."""
        plug = self.plug()
        self.wiring.arm(BOX)
        self.docker.start(plug)
        self.person()
        self.wiring.tidy({BOX}, {NET})
        self.docker.stop(plug)
        self.wiring.arm(BOX)
        self.docker.start(plug)
        self.docker.stop(plug)
        self.wiring.unplug(BOX)
        for _ in range(3):
            self.wiring.tidy(set(), set())

    def person(self) -> None:
        """`docker run --rm --net` at the command line."""
        address = self.ask().partition("/")[0]
        self.joined.add(address)
        self.endpoint(f"by hand {address}", address)
        self.docker.call("NetworkDriver.Join", {"EndpointID": f"by hand {address}"})
        self.give_up(address)

    def give_up(self, address: str) -> None:
        docker_id = {"EndpointID": f"by hand {address}"}
        self.docker.call("NetworkDriver.Leave", docker_id)
        self.docker.call("NetworkDriver.DeleteEndpoint", docker_id)
        self.docker.call("IpamDriver.ReleaseAddress", {"PoolID": POOL, "Address": address})
        self.joined.discard(address)

    def rollback(self, *, told: bool) -> None:
        """Docker ends what it had begun; told False: the agent is still away and hears nothing."""
        plugs: list[Plug] = [plug for _, plug in self.docker.endpoints.values()]
        if told:
            for plug in plugs:
                self.docker.stop(plug)
            for address in tuple(self.joined):
                self.give_up(address)
            return
        self.docker.endpoints.clear()
        for port in self.binder.ports.values():
            self.binder.loosen(port.uuid)

    def left(self) -> list[object]:
        ledger = self.wiring.ledger
        found = (
            *self.binder.ports,
            *self.binder.networks,
            *self.engine.networks,
            *ledger.networks(),
            *ledger.reservations(),
            *ledger.endpoints(),
            *ledger.addresses(),
            *ledger.owed(),
        )
        return list(found)


def survive(step: int, *, told: bool) -> bool:
    """True when the agent died at this step."""
    countdown = Countdown(step)
    world = MortalWorld(countdown)
    died = False
    try:
        world.life()
    except Killed:
        died = True
    countdown.left = -1
    world.wake()
    world.rollback(told=told)
    (plug,) = world.wiring.plug(THE_WISH)
    if NET not in world.docker.networks:
        world.docker.create_network(plug.network)
    world.wiring.arm(BOX)
    world.docker.start(plug)
    for _ in range(3):
        world.wiring.tidy({BOX}, {NET})
    name = world.binder.port_name(plug.port.uuid)
    assert set(world.binder.ports) == {name}, f"step {step}: plugged, and nothing else"
    with pytest.raises(errors.Refused):
        world.docker.start(plug)
    world.docker.stop(plug)
    world.wiring.unplug(BOX)
    for _ in range(4):
        world.wiring.tidy(set(), set())
    assert world.left() == [], f"step {step}"
    return died


@pytest.mark.parametrize("told", [True, False], ids=["docker tells", "docker does not tell"])
def test_killed_at_any_step(told: bool) -> None:
    step = 1
    while survive(step, told=told):
        step += 1
    assert step > 50, "a life has many steps"
