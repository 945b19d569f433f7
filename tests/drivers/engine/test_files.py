"""Files in containers, whatever engine runs them: copied in and out, and given with them."""

from __future__ import annotations

from base64 import b64encode

import pytest

from dolium import errors
from dolium.drivers.engine.fake import Fake
from dolium.model.container import State
from tests.drivers.engine.conftest import Bench
from tests.tars import tar, untar

ENDLESS = ("sleep", "1000")


@pytest.mark.parametrize("state", [State.CREATED, State.RUNNING, State.EXITED])
def test_archives(bench: Bench, state: State) -> None:
    bench.needs("archive")
    seen = bench.look(bench.create(*ENDLESS))
    if state is not State.CREATED:
        bench.engine.start(seen.handle)
    if state is State.EXITED:
        bench.engine.stop(seen.handle, 0)
    content = bytes(range(256)) * 5000
    bench.engine.put_archive(seen.handle, "/tmp", tar(("x.bin", content), ("a/b.txt", b"b")))
    file = bench.engine.get_archive(seen.handle, "/tmp/x.bin", 2 << 20)
    assert (file.stat.name, file.stat.size, file.stat.mode) == ("x.bin", len(content), 0o644)
    assert file.stat.mtime
    assert untar(file.data) == {"x.bin": content}
    folder = bench.engine.get_archive(seen.handle, "/tmp", 2 << 20)
    assert folder.stat.name == "tmp"
    found = untar(folder.data)
    assert (found["tmp/x.bin"], found["tmp/a/b.txt"]) == (content, b"b")
    assert bench.look(seen).state is state


def test_archives_of_what_is_not_there(bench: Bench) -> None:
    bench.needs("archive")
    handle = bench.look(bench.create("true")).handle
    with pytest.raises(errors.NoPath, match="/nosuch could not be found"):
        bench.engine.get_archive(handle, "/nosuch", 1 << 20)
    with pytest.raises(errors.NoPath, match="/nosuch could not be found"):
        bench.engine.put_archive(handle, "/nosuch", tar(("x", b"")))
    with pytest.raises(errors.Absent):
        bench.engine.get_archive("f" * 64, "/tmp", 1 << 20)


def test_archives_that_are_too_large_or_none(bench: Bench) -> None:
    bench.needs("archive")
    handle = bench.look(bench.create("true")).handle
    bench.engine.put_archive(handle, "/tmp", tar(("large", bytes(1 << 20))))
    with pytest.raises(errors.Oversized, match=f"/tmp/large is larger than {1 << 20} bytes"):
        bench.engine.get_archive(handle, "/tmp/large", 1 << 20)
    assert bench.engine.get_archive(handle, "/tmp/large", 2 << 20).stat.size == 1 << 20
    with pytest.raises(errors.Refused):
        bench.engine.put_archive(handle, "/tmp/large", tar(("x", b"")))
    with pytest.raises(errors.Refused):
        bench.engine.put_archive(handle, "/tmp", b"no tar" * 1000)


def test_files_given_with_it(bench: Bench) -> None:
    bench.needs("archive")
    binary = bytes(range(256))
    places = {"/data/deep/x.bin": binary, "/etc/y": b"y", "/z": b""}
    mounts = [
        {"type": "bind", "source": b64encode(content).decode(), "destination": place}
        for place, content in places.items()
    ]
    labels = bench.create(*ENDLESS, mounts=mounts)
    handle = bench.look(labels).handle
    bench.create(*ENDLESS, mark=labels, mounts=mounts)  # who was killed tries again
    bench.engine.start(handle)
    for place, content in places.items():
        found = bench.engine.get_archive(handle, place, 1 << 20)
        assert untar(found.data) == {place.rpartition("/")[2]: content}
        assert found.stat.mode == 0o644
    if not isinstance(bench.engine, Fake):
        modes = bench.engine.execute(handle, ["stat", "-c", "%a", "/data", "/data/deep"], 20)
        assert modes.output == b"755\n755\n"
        assert bench.engine.execute(handle, ["rm", "/data/deep/x.bin"], 20).exit_code == 0


def test_a_file_where_a_folder_is(bench: Bench) -> None:
    bench.needs("archive")
    mount = {"type": "bind", "source": b64encode(b"x").decode(), "destination": "/etc"}
    with pytest.raises(errors.Refused):
        bench.create(*ENDLESS, mounts=[mount])
    assert bench.engine.listing(bench.deployment) == []
