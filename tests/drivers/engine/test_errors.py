"""What the engines' sentences mean: real ones, collected from Docker 20.10, Podman 4.3, gVisor."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.drivers.engine.docker_errors import clean, fail

OCI = "failed to create shim task: OCI runtime create failed: runc create failed: "
CLI = "unable to start container process: "
POST = 'Post "http://%2Frun%2Fdocker%2Fplugins%2Fdolium.sock/IpamDriver.RequestAddress": '
NOT_FOUND = "The command 'x' can't be run: executable file not found in $PATH"


@pytest.mark.parametrize(
    ("status", "message", "kind", "text"),
    [
        (404, "No such container: abc", errors.Absent, "Container abc is not there"),
        (404, "network n1 not found", errors.Absent, "Network n1 is not there"),
        (404, 'no container with name or ID "abc" found: no such container', errors.Absent, "abc"),
        (400, f'{OCI}{CLI}exec: "x": executable file not found in $PATH: unknown', None, NOT_FOUND),
        (
            400,
            "OCI runtime create failed: container_linux.go:380: starting container process caused: "
            'exec: "x": executable file not found in $PATH: unknown',
            None,
            NOT_FOUND,
        ),
        (
            500,
            "crun: executable file `x` not found in $PATH: No such file or directory: "
            "OCI runtime attempted to invoke a command that was not found",
            None,
            NOT_FOUND,
        ),
        (
            400,
            f'{OCI}{CLI}exec: "/x": stat /x: no such file or directory: unknown',
            None,
            "The command '/x' can't be run: no such file or directory",
        ),
        (
            400,
            f'{OCI}{CLI}exec: "/etc": permission denied: unknown',
            None,
            "The command '/etc' can't be run: permission denied",
        ),
        (
            400,
            f'{OCI}{CLI}exec: "no space left on device": executable file not found in $PATH',
            None,
            "The command 'no space left on device' can't be run: "
            "executable file not found in $PATH",
        ),
        (400, "Unknown runtime specified foo", None, "Unknown runtime specified foo"),
        (500, "write /var/lib/x: no space left on device", errors.Full, "Docker Engine has no"),
        (500, f"{POST}EOF", errors.Unanswered, "Network plugin does not answer: EOF"),
        (
            500,
            f"{POST}dial unix /run/docker/plugins/dolium.sock: connect: connection refused",
            errors.Unanswered,
            "Network plugin does not answer: dial unix",
        ),
        (
            500,  # as Docker 26 names a plugin
            'Post "http://plugin.moby.localhost/IpamDriver.RequestAddress": '
            "dial unix /run/docker/plugins/dolium.sock: connect: no such file or directory",
            errors.Unanswered,
            "Network plugin does not answer: dial unix",
        ),
        (
            500,  # an image's name, not a plugin's
            'Get "https://hub.example/v2/my-plugin/manifests/1": dial tcp: connection refused',
            errors.Unanswered,
            "Docker Engine does not answer: Get",
        ),
        (
            500,
            "failed to create endpoint a on network b: remote: the token is used up",
            None,
            "the token is used up",
        ),
        (500, "NetworkDriver.Join: no link", None, "no link"),
        (
            500,
            'connection error: desc = "transport: dial unix c.sock: connect: connection refused"',
            errors.Unanswered,
            "Docker Engine does not answer",
        ),
        (503, "", errors.Unanswered, "HTTP status 503"),
        (409, "removal of container x is already in progress", errors.Unanswered, "in progress"),
        (409, "Container x is not running", None, "Container x is not running"),
        (
            500,
            "setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
            None,
            "setrlimit `RLIMIT_NOFILE`: Operation not permitted",
        ),
        (500, "something else", None, "something else"),
    ],
)
def test_meaning(status: int, message: str, kind: type[errors.Error] | None, text: str) -> None:
    with pytest.raises(errors.DriverError) as caught:
        fail(status, message)
    assert type(caught.value) is (kind or errors.Refused)
    assert text in str(caught.value)
    if kind is None:
        assert text == str(caught.value)


@pytest.mark.parametrize("noise", ["Error response from daemon: ", OCI, f"{OCI}{CLI}"])
def test_noise_goes(noise: str) -> None:
    assert clean(f"{noise}the disk is on fire: unknown\n") == "the disk is on fire"
