"""Is there an engine behind a socket."""

import socket
from pathlib import Path

import pytest

from dolium.beside.ping import ping


def test_silence_behind_a_socket_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ping(tmp_path / "none.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(ConnectionRefusedError):
        ping(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        with pytest.raises(TimeoutError):
            ping(tmp_path / "mute.sock", timeout=0.05)
