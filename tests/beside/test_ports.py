"""A taken port is noticed before anything is started on it."""

import os
import socket

import pytest

from dolium.beside import errors, ports


def test_a_taken_port_names_its_holder() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(errors.PortTaken) as caught:
            ports.check("127.0.0.1", port)
    assert f"(pid {os.getpid()})" in str(caught.value) and str(port) in str(caught.value)
    ports.check("127.0.0.1", port)
