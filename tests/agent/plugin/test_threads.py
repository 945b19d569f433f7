"""Many containers at once, looks in between: nobody loses a port, nothing is left."""

import threading
import uuid

from msgspec import structs

from dolium.agent.plugin.plugin import Plugin
from dolium.agent.wiring import Wiring
from dolium.drivers.network.bridge import Bridge as Networks
from tests.agent.plugin.docker import Docker
from tests.agent.plugin.test_plugin import THE_WISH, World


class Crowd:
    """Containers of one network, each with a thread of its own."""

    def __init__(self) -> None:
        self.world = World()
        self.networks = Networks()
        self.network = self.networks.network("p", ())
        self.taken: set[str] = set()
        self.needed: set[str] = set()
        self.lock = threading.Lock()
        self.failed: list[BaseException] = []
        self.docker = Docker(self.world.plugin)
        self.ended = threading.Event()

    def live(self) -> None:
        try:
            for _ in range(10):
                self.once(self.world.wiring, self.world.plugin)
        except BaseException as error:
            self.failed.append(error)
            raise

    def once(self, wiring: Wiring, plugin: Plugin) -> None:
        container = str(uuid.uuid4())
        with self.lock:
            port = self.networks.port(self.network, container, self.taken)
            self.taken |= {ip.address for ip in port.fixed_ips}
            self.needed.add(container)
        wish = structs.replace(THE_WISH, uuid=container, ports=(port,), networks=(self.network,))
        (plug,) = wiring.plug(wish)
        with self.lock:
            if self.network.uuid not in self.docker.networks:
                self.docker.create_network(self.network)
        wiring.arm(container)
        self.docker.start(plug)
        assert wiring.ledger.reserved(container)
        self.docker.stop(plug)
        wiring.arm(container)
        self.docker.start(plug)
        self.docker.stop(plug)
        with self.lock:
            self.needed.discard(container)
            self.taken -= {ip.address for ip in port.fixed_ips}
        wiring.unplug(container)

    def look(self) -> None:
        while not self.ended.is_set():
            with self.lock:
                needed = set(self.needed)
            self.world.wiring.tidy(needed, set())


def test_a_crowd() -> None:
    crowd = Crowd()
    looking = threading.Thread(target=crowd.look)
    looking.start()
    threads = [threading.Thread(target=crowd.live) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    crowd.ended.set()
    looking.join(120)
    assert not crowd.failed
    for _ in range(4):
        crowd.world.wiring.tidy(set(), set())
    assert not crowd.world.binder.ports
    assert not crowd.world.binder.networks
    assert not crowd.world.engine.networks
    assert not crowd.world.wiring.ledger.owed()
    assert not crowd.world.wiring.ledger.addresses()
