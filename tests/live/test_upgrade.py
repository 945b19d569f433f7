"""A cloud is upgraded one process after another: wheels of two commits side by side.

DOLIUM_PREVIOUS names another commit to start from.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.databases import MariaDb
from tests.live import place, wheels
from tests.live.cloud import Cloud, Process, cloud
from tests.live.installation import Owned

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """`dolium` of before and of now."""
    if why := place.missing() or MariaDb.missing():
        pytest.skip(f"a whole cloud: {why}")
    try:
        commit = wheels.previous()
    except wheels.Missing as why_not:
        pytest.skip(f"mixed versions: {why_not}")
    folder = tmp_path_factory.mktemp("wheels")
    tree = wheels.unpacked(commit, folder / "tree")
    print(f"the previous one is {commit}")
    before = wheels.installed(tree, folder / "before")
    return before, wheels.installed(wheels.ROOT, folder / "now")


@pytest.fixture
def made(programs: tuple[str, str]) -> Iterator[Cloud]:
    with cloud(MariaDb, hosts=2, program=programs[0]) as made:
        yield made


@pytest.fixture(autouse=True)
def told(made: Cloud, request: pytest.FixtureRequest) -> Generator[None]:
    yield
    if request.session.testsfailed:
        print(made.tail())


def works(made: Cloud, what: str) -> None:
    """On each host containers are made, answer and go, whichever API is asked."""
    for api in range(len(made.apis)):
        with made.client("admin", api) as client:
            owned = Owned(client)
            uuids = [owned.create(f"{what}-{host.name}", host=host.name) for host in made.hosts]
            for uuid in uuids:
                owned.until(uuid, "Running")
                said = client.ask("POST", f"/v1/containers/{uuid}/execute?command=echo+hi")
                assert said["output"].strip() == "hi"
            owned.act(uuids[0], "stop", timeout=1)
            owned.until(uuids[0], "Stopped")
            owned.delete(*uuids)


def turn(program: str, *processes: Process) -> None:
    """Another version takes the place of those that ran."""
    for process in processes:
        process.end()
        process.program = program
        process.start()
    for process in processes:
        process.ready()


def asked(made: Cloud, program: str, *words: str, status: int = 0) -> str:
    """What another version says on the control node."""
    running, made.control.program = made.control.program, program
    try:
        return made.control.said(*words, status=status)
    finally:
        made.control.program = running


def test_one_after_another(made: Cloud, programs: tuple[str, str]) -> None:
    before, now = programs
    one, other = made.hosts
    with made.client("admin") as client:
        owned = Owned(client)
        stays = [owned.create(f"stays-{host.name}", host=host.name) for host in made.hosts]
        for uuid in stays:
            owned.until(uuid, "Running")
    print(asked(made, now, "db", "sync"))
    turn(now, made.apis[0], made.conductors[0], other)
    works(made, "half-and-half")
    made.database.execute("ALTER TABLE dolium.hosts ADD COLUMN colour VARCHAR(16)")
    made.database.execute("UPDATE dolium.alembic_version SET version_num = '9999'")
    turn(now, made.apis[1], made.conductors[1])  # now this one is the older
    if accepts(made, before):
        turn(before, made.conductors[0])
    works(made, "beside-a-newer-schema")
    assert (one.program, other.program) == (before, now)
    with made.client("admin", api=1) as client:
        owned = Owned(client)
        for uuid in stays:
            assert owned.until(uuid, "Running")["status_reason"] is None
        owned.delete(*stays)
    assert [name for host in made.hosts for name in host.running()] == []


def accepts(made: Cloud, program: str) -> bool:
    """Whether this version starts beside the schema as it is now."""
    try:
        asked(made, program, "db", "check")
    except AssertionError as refused:
        print(f"it can't be started again: {refused}")
        return False
    return True
