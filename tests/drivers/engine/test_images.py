"""Pulling, against an engine whose registry behaves as a test wants."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dolium import errors
from dolium.drivers.engine import docker_images
from dolium.drivers.engine.docker_images import Images, parse
from dolium.drivers.engine.docker_socket import Client
from dolium.model.image import Progress
from dolium.model.registry import Login
from tests import engines
from tests.drivers.engine.stub import Handler, Stub, stub

DIGEST = "sha256:" + "0" * 64
PATIENCE = 30.0


@pytest.mark.parametrize(
    ("image", "registry", "full"),
    [
        ("busybox", "docker.io", "busybox:latest"),
        ("busybox:1.36", "docker.io", "busybox:1.36"),
        ("team/app", "docker.io", "team/app:latest"),
        ("localhost/app", "localhost", "localhost/app:latest"),
        ("registry:5000/app", "registry:5000", "registry:5000/app:latest"),
        ("quay.io/team/app:v1", "quay.io", "quay.io/team/app:v1"),
        (f"app@{DIGEST}", "docker.io", f"app@{DIGEST}"),
        (f"quay.io/app:v1@{DIGEST}", "quay.io", f"quay.io/app:v1@{DIGEST}"),
    ],
)
def test_names(image: str, registry: str, full: str) -> None:
    reference = parse(image)
    assert (reference.registry, reference.full) == (registry, full)


@pytest.mark.parametrize(
    "image",
    ["", "UPPER", "../x", "a/../b", "a b", "a//b", "a:b:c", "x?y", "x#y", "a@sha256:1", "é"],
)
def test_nonsense_names(image: str) -> None:
    with pytest.raises(errors.Refused, match="not the name of an image"):
        parse(image)


class Desk:
    """An engine that has some images and asks a scripted registry for others."""

    def __init__(self, server: Stub, client: Client) -> None:
        self.present: set[str] = set()
        self.pulls = 0
        self.tellings = Counter[int]()
        """How often each thread was told how its pull goes."""
        self.registry: Callable[[Handler], None] = lambda handler: done(handler)
        self.images = Images(client, silent_s=PATIENCE)
        server.answer = self.answer

    def answer(self, handler: Handler) -> None:
        if handler.command == "GET":
            name = handler.path.split("/images/")[1].removesuffix("/json")
            handler.say(200 if name in self.present else 404, b'{"message": "No such image: x"}')
            return
        self.pulls += 1
        self.registry(handler)

    def pull(self, image: str, policy: str = "always") -> str | None:
        return self.images.pull(image, policy, lambda: False, told=self.told)

    def told(self, progress: Progress) -> None:
        self.tellings[threading.get_ident()] += 1

    def wait(self, pulls: int) -> None:
        """Until so many have begun to pull, or wait for who does: once is told before that."""
        engines.wait(
            lambda: sum(times > 1 for times in list(self.tellings.values())) >= pulls,
            f"{pulls} are told more than once",
        )


def done(handler: Handler) -> None:
    handler.begin()
    handler.chunk(b'{"status": "Pulling from library/x"}\r\n')
    handler.chunk(b'{"status": "Downloading", "progressDetail": {"current": 1}}\r\n')
    handler.chunk(b"")


def says(message: str) -> Callable[[Handler], None]:
    """A pull that fails after it began."""

    def answer(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b'{"status": "Pulling from library/x"}\r\n')
        handler.chunk(json.dumps({"error": message}).encode() + b"\r\n")
        handler.chunk(b"")

    return answer


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with stub(tmp_path, lambda handler: handler.say(500)) as server:
        client = Client(server.path, timeout_s=10)
        yield Desk(server, client)
        client.close()


def test_policies(desk: Desk) -> None:
    desk.present = {"here:latest"}
    assert desk.pull("here", "never") is None
    assert desk.pull("here", "ifnotpresent") is None
    assert desk.pulls == 0
    assert desk.pull("here", "always") is None
    assert desk.pull("gone", "ifnotpresent") is None
    assert desk.pulls == 2
    with pytest.raises(errors.ImageMissing):
        desk.pull("gone", "never")


MISSING = [
    "pull access denied for x, repository does not exist or may require 'docker login': denied",
    "manifest for x:1 not found: manifest unknown: manifest unknown",
    "no matching manifest for linux/arm64 in the manifest list entries",
]


@pytest.mark.parametrize("message", MISSING)
@pytest.mark.parametrize("early", [True, False])
def test_missing(desk: Desk, message: str, early: bool) -> None:
    body = json.dumps({"message": message}).encode()
    desk.registry = (lambda handler: handler.say(404, body)) if early else says(message)
    with pytest.raises(errors.ImageMissing) as caught:
        desk.pull("x")
    assert message in str(caught.value)


def test_an_answer_that_says_no_is_no_silence(desk: Desk) -> None:
    desk.present = {"x:latest"}
    desk.registry = says("unauthorized: authentication required")
    with pytest.raises(errors.Refused, match=r"docker\.io denies access to image x"):
        desk.pull("x")
    desk.registry = says("manifest unknown")
    with pytest.raises(errors.ImageMissing):
        desk.pull("x")


@pytest.mark.parametrize(
    "message",
    [
        'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on '
        "10.0.0.1:53: dial udp 10.0.0.1:53: connect: network is unreachable",
        'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused',
        "net/http: TLS handshake timeout",
        "received unexpected HTTP status: 503 Service Unavailable",
        "toomanyrequests: You have reached your pull rate limit",
        "Get https://x/v2/: net/http: request canceled (Client.Timeout exceeded while awaiting)",
    ],
)
def test_unreachable(desk: Desk, message: str) -> None:
    body = json.dumps({"message": message}).encode()
    desk.registry = lambda handler: handler.say(500, body)
    with pytest.raises(errors.Unanswered, match=r"Registry docker\.io does not answer"):
        desk.pull("x")
    desk.present = {"x:latest"}
    assert desk.pull("x") == "Registry docker.io does not answer: the image x on the host is used"


def test_no_space(desk: Desk) -> None:
    desk.present = {"x:latest"}
    desk.registry = says("write /var/lib/docker/tmp/x: no space left on device")
    with pytest.raises(errors.Full):
        desk.pull("x")


def test_one_image_is_pulled_once_at_a_time(desk: Desk) -> None:
    go = threading.Event()

    def slow(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b'{"status": "Pulling from library/x"}\r\n')
        go.wait(10)
        handler.chunk(b"")

    desk.registry = slow
    with ThreadPoolExecutor(8) as pool:
        pulls = [pool.submit(desk.pull, "x") for _ in range(8)]
        desk.wait(8)
        go.set()
        assert [pull.result() for pull in pulls] == [None] * 8
    assert desk.pulls == 1


def test_who_signs_in_is_told_to_the_registry_and_waits_for_nobody_else(desk: Desk) -> None:
    go, told = threading.Event(), list[str | None]()

    def slow(handler: Handler) -> None:
        told.append(handler.headers["X-Registry-Auth"])
        handler.begin()
        handler.chunk(b'{"status": "Pulling from library/x"}\r\n')
        go.wait(10)
        handler.chunk(b"")

    desk.registry = slow
    alice = Login(domain="docker.io", username="alice", password="päss")
    bob = Login(domain="docker.io", username="bob")
    with ThreadPoolExecutor(8) as pool:
        pulls = [
            pool.submit(desk.images.pull, "x", "always", lambda: False, login, desk.told)
            for login in (alice, alice, bob, None)
        ]
        desk.wait(4)
        go.set()
        assert [pull.result() for pull in pulls] == [None] * 4
    assert len(told) == 3
    read = [json.loads(base64.urlsafe_b64decode(each)) for each in told if each]
    assert sorted(read, key=lambda each: str(each["username"])) == [
        {"username": "alice", "password": "päss", "serveraddress": "docker.io"},
        {"username": "bob", "password": "", "serveraddress": "docker.io"},
    ]


def test_all_who_wait_get_the_same_error(desk: Desk) -> None:
    go = threading.Event()

    def slow(handler: Handler) -> None:
        go.wait(10)
        handler.say(404, b'{"message": "manifest unknown"}')

    desk.registry = slow
    with ThreadPoolExecutor(4) as pool:
        pulls = [pool.submit(desk.pull, "x") for _ in range(4)]
        desk.wait(3)  # the first is told once: nothing comes
        go.set()
        assert {type(pull.exception()) for pull in pulls} == {errors.ImageMissing}
    assert desk.pulls == 1


def test_who_waits_goes_on_when_the_first_gives_up(desk: Desk) -> None:
    go = threading.Event()
    tired = threading.Event()

    def slow(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b'{"status": "Pulling from library/x"}\r\n')
        go.wait(10)
        try:
            handler.chunk(b"")
        except OSError:
            handler.hang_up()

    desk.registry = slow
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(desk.images.pull, "x", "always", tired.is_set)
        while desk.pulls == 0:
            time.sleep(0.01)
        second = pool.submit(desk.pull, "x")
        time.sleep(0.1)
        tired.set()
        assert isinstance(first.exception(), errors.Unanswered)
        while desk.pulls == 1:
            time.sleep(0.01)
        go.set()
        assert second.result() is None


def test_silence_is_remembered_and_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def silent(handler: Handler) -> None:
        never.wait(20)
        handler.hang_up()

    desk.present = {"x:latest", "y:latest"}
    desk.registry = silent
    desk.images._silent_s = 2.0
    assert desk.pull("x")
    before = time.monotonic()
    assert desk.pull("y")
    with pytest.raises(errors.Unanswered):
        desk.pull("absent")
    assert time.monotonic() - before < 1.9
    assert desk.pulls == 1
    monkeypatch.setattr(docker_images, "REMEMBER_S", 0.0)
    never.set()
    desk.registry, desk.images._silent_s = done, PATIENCE
    assert desk.pull("y") is None
    assert desk.pull("x") is None


def test_another_registry_is_not_held_for_silent(desk: Desk) -> None:
    desk.present = {"x:latest"}
    body = b'{"message": "dial tcp: no route to host"}'
    desk.registry = lambda handler: handler.say(500, body)
    assert desk.pull("x")
    desk.registry = done
    assert desk.pull("quay.io/x") is None
    assert desk.pulls == 2


def test_podman_that_only_tries_has_not_heard(desk: Desk) -> None:
    never = threading.Event()

    def tries(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b'{"status": "Trying to pull docker.io/library/x:latest..."}\n')
        never.wait(20)
        handler.hang_up()

    desk.present = {"x:latest"}
    desk.registry = tries
    desk.images._silent_s = 0.5
    before = time.monotonic()
    assert desk.pull("x")
    assert time.monotonic() - before < 5
    never.set()


def test_a_pull_that_stalls(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_images, "STALL_S", 0.5)
    never = threading.Event()

    def stalls(handler: Handler) -> None:
        handler.begin()
        handler.chunk(b'{"status": "Pulling from library/x"}\n')
        never.wait(20)
        handler.hang_up()

    desk.registry = stalls
    with pytest.raises(errors.Unanswered, match="stalled"):
        desk.pull("x")
    never.set()
