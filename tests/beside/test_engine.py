"""Which engine is used, decided by the socket that answers."""

import http.server
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dolium.beside import engine as module
from dolium.beside import errors
from dolium.beside.engine import Engine


class Ping(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def version_string(self) -> str:
        return "Docker/99.1 (linux)"

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


Serve = Callable[[Path], Path]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Somebody's engine behind a socket."""
    servers: list[socketserver.UnixStreamServer] = []

    def start(path: Path) -> Path:
        server = socketserver.ThreadingUnixStreamServer(str(path), Ping)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return path

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def engine(folder: Path, **changes: object) -> Engine:
    options: dict[str, object] = {"standard": folder / "docker.sock"}
    return Engine(folder / "state", folder / "run", **(options | changes))  # type: ignore[arg-type]


def test_an_engine_that_answers_is_somebodys_and_used(tmp_path: Path, serve: Serve) -> None:
    socket = serve(tmp_path / "docker.sock")
    made = engine(tmp_path)
    assert "which was here before: Docker/99.1 (linux)" in made.start()
    assert made.socket == socket and not made.ours
    made.watch(lambda _: None)
    made.stop()
    assert list(tmp_path.iterdir()) == [socket]  # nothing was made, nothing was ended


def test_a_configured_engine_goes_first(tmp_path: Path, serve: Serve) -> None:
    serve(tmp_path / "docker.sock")
    other = serve(tmp_path / "other.sock")
    made = engine(tmp_path, socket=other)
    made.start()
    assert made.socket == other and not made.ours


def test_a_configured_engine_that_is_silent_is_an_error(tmp_path: Path, serve: Serve) -> None:
    serve(tmp_path / "docker.sock")
    made = engine(tmp_path, socket=tmp_path / "none.sock")
    with pytest.raises(errors.EngineSilent, match=r"none\.sock does not answer"):
        made.start()


def test_a_socket_that_is_not_ours_to_open_asks_for_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(module, "ping", refuse)
    with pytest.raises(errors.NotRoot, match="sudo dolium up"):
        engine(tmp_path).start()


def test_an_engine_of_our_own_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(errors.NotRoot, match="sudo dolium demo"):
        engine(tmp_path, command="dolium demo").start()


def test_who_has_used_our_own_engine_keeps_it(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state" / "engine").mkdir(parents=True)
    (tmp_path / "state" / "engine" / "used").touch()
    serve(tmp_path / "docker.sock")  # installed since then
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(errors.NotRoot):  # as far as our own one gets without root
        engine(tmp_path).start()


def test_too_long_a_socket_path_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    deep = tmp_path / ("x" * 100)
    with pytest.raises(errors.PathTooLong, match="choose a shorter run folder"):
        Engine(tmp_path / "state", deep, standard=tmp_path / "none").start()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["a", "failed to start daemon: no space", "b"], "failed to start daemon: no space"),
        (
            ['time="2026" level=fatal msg="no \\"x\\" here"', 'time="2026" level=info msg="bye"'],
            'no \\"x\\" here',
        ),
        (["last words"], "last words"),
        ([], "it said nothing"),
    ],
)
def test_the_reason_is_picked_from_the_log(said: list[str], reason: str) -> None:
    assert module._reason(said) == reason
