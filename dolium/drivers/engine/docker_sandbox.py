"""The image of a capsule's sandbox: one static program that waits until it is killed.

It is written here, as machine code, so that no registry is asked and nobody has to build or trust
an image of somebody else's. The program does what `pause` of Kubernetes does, but for burying
orphans: the containers of a capsule have processes of their own.

    x86_64:   again: pause();                            jmp again
    aarch64:  again: ppoll(NULL, 0, NULL, NULL, 0);      b again

The ELF has one segment with 120 bytes of headers before the code (elf(5)); numbers of system
calls are those of syscalls(2). The archive is one that `docker load` takes, and always the same,
so that loading it twice makes one image.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from collections.abc import Callable

import msgspec

from dolium import errors
from dolium.drivers.engine.docker_socket import Client
from dolium.model.image import SANDBOX

LOAD_S = 60.0

_ENTRY = 0x400000
_HEADERS = 64 + 56


_WORDS = [
    *(0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800004),  # mov x0..x4, 0
    0xD2800928,  # mov x8, 73: ppoll
    0xD4000001,  # svc 0
    0x17FFFFF9,  # b -7
]
MACHINES: dict[str, tuple[str, int, bytes]] = {
    # mov eax, 34; syscall; jmp -9
    "x86_64": ("amd64", 62, bytes.fromhex("b822000000 0f05 ebf7")),
    "aarch64": ("arm64", 183, struct.pack("<8I", *_WORDS)),
}
"""By the engine's name of an architecture: the image's name of it, ELF's number, the code."""


def program(number: int, code: bytes) -> bytes:
    """The ELF file."""
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bits, little-endian, System V
    start = _ENTRY + _HEADERS
    head = struct.pack("<HHIQQQIHHHHHH", 2, number, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    readable = 5  # and executable
    segment = struct.pack("<IIQQQQQQ", 1, readable, 0, _ENTRY, _ENTRY, size, size, 0x10000)
    return ident + head + segment + code


def archive(architecture: str) -> bytes:
    """The image, as `docker save` writes one; raises NotOffered for another architecture."""
    if architecture not in MACHINES:
        raise errors.NotOffered(driver="docker", what=f"capsules on {architecture}")
    name, number, code = MACHINES[architecture]
    layer = _tar({"pause": program(number, code)})
    config = {
        "architecture": name,
        "os": "linux",
        # As process 1 it would ignore whatever else it is asked to end by.
        "config": {"Entrypoint": ["/pause"], "StopSignal": "SIGKILL"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [SANDBOX], "Layers": ["layer.tar"]}]
    return _tar(
        {
            "config.json": msgspec.json.encode(config),
            "layer.tar": layer,
            "manifest.json": msgspec.json.encode(manifest),
        }
    )


def _tar(files: dict[str, bytes]) -> bytes:
    """The same bytes each time: nobody's name and no date is in it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(content), 0o555
            tar.addfile(about, io.BytesIO(content))
    return made.getvalue()


def present(client: Client, architecture: Callable[[], str]) -> str:
    """The image's name, once the engine has it; architecture: asked when it has not."""
    try:
        client.raw("GET", f"/images/{SANDBOX}/json")
    except errors.Absent:
        client.raw(
            "POST",
            "/images/load",
            query={"quiet": 1},
            body=archive(architecture()),
            timeout_s=LOAD_S,
        )
    return SANDBOX
