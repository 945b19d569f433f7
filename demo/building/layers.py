"""Image layers and archives, written without an engine: tar files as `docker save` makes them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
# Every layer has a merged /usr, as Debian has: a package's /bin/x is written as /usr/bin/x.
MERGED = ("bin", "sbin", "lib", "lib64")
# Nothing in a container reads these, and they are half of many packages.
UNREAD = tuple(f"usr/share/{name}/" for name in ("doc", "info", "lintian", "locale", "man"))
DIRECTORIES = {
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "run": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/lib": 0o755,
    "usr/lib64": 0o755,
    "usr/sbin": 0o755,
    "usr/share": 0o755,
    "var": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/tmp": 0o1777,
}
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


class Layer:
    """A tar file being written; a name is written once, the first writer wins."""

    def __init__(self, path: Path) -> None:
        """Start an empty layer in the file `path`."""
        self.path = path
        self._tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 (closed below)
        self._seen: set[str] = set()

    def __enter__(self) -> Self:
        """Use as a context: leaving closes the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._tar.close()

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory of root's."""
        self._put(_member(name, tarfile.DIRTYPE, mode))

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        member = _member(name, tarfile.SYMTYPE, 0o777)
        member.linkname = target
        self._put(member)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file of root's."""
        member = _member(name, tarfile.REGTYPE, mode)
        member.size = len(content)
        self._put(member, io.BytesIO(content))

    def tree(self, folder: Path) -> None:
        """Add a folder's files under their relative names; what is executable stays so."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            self.file(str(path.relative_to(folder)), path.read_bytes(), mode)

    def package(self, deb: Path) -> None:
        """Unpack a Debian package into the layer; its maintainer scripts do not run."""
        command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as unpacking,
            tarfile.open(fileobj=unpacking.stdout, mode="r|") as source,
        ):
            for member in source:
                self._adopt(member, source)
            # A pipe that is not read to its end would make dpkg-deb fail.
            if unpacking.stdout:
                unpacking.stdout.read()
        if unpacking.returncode:
            raise OSError(f"dpkg-deb cannot read {deb.name}")

    def _adopt(self, member: tarfile.TarInfo, source: tarfile.TarFile) -> None:
        member.name = _merged(member.name)
        if not member.name or member.name in MERGED or member.name.startswith(UNREAD):
            return
        if member.islnk():
            member.linkname = _merged(member.linkname)
        self._put(member, source.extractfile(member) if member.isreg() else None)

    def _put(self, member: tarfile.TarInfo, content: Any = None) -> None:
        if member.name not in self._seen:
            self._seen.add(member.name)
            self._tar.addfile(member, content)


def base(path: Path, busybox: Path) -> Path:
    """Write the layer every image starts with: BusyBox with all its commands, root, /tmp."""
    listed = subprocess.run([busybox, "--list-full"], capture_output=True, check=True, text=True)
    with Layer(path) as layer:
        for name, mode in DIRECTORIES.items():
            layer.directory(name, mode)
        for name in MERGED:
            layer.link(name, f"usr/{name}")
        layer.link("var/run", "/run")
        layer.file("usr/bin/busybox", busybox.read_bytes(), 0o755)
        for command in listed.stdout.split():
            name = _merged(command)
            if "/" not in name:  # linuxrc, which is for initial RAM disks
                continue
            layer.link(name, "busybox" if name.startswith("usr/bin/") else "../bin/busybox")
        layer.file("etc/passwd", PASSWD.encode())
        layer.file("etc/group", GROUP.encode())
    return path


def archive(path: Path, name: str, layers: Iterable[Path], config: dict[str, Any]) -> None:
    """Write an image as one file that `docker load` (POST /images/load) takes."""
    with tarfile.open(path, "w") as tar:
        digests = []
        for layer in layers:
            with layer.open("rb") as content:
                digests.append(hashlib.file_digest(content, "sha256").hexdigest())
            tar.add(layer, f"{digests[-1]}.tar")
        described = json.dumps(
            {
                "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in digests]},
            },
            sort_keys=True,
        ).encode()
        image = hashlib.sha256(described).hexdigest()
        manifest = {
            "Config": f"{image}.json",
            "RepoTags": [name],
            "Layers": [f"{digest}.tar" for digest in digests],
        }
        _append(tar, f"{image}.json", described)
        _append(tar, "manifest.json", json.dumps([manifest]).encode())


def _append(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = _member(name, tarfile.REGTYPE, 0o644)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    # Time 0 and owner root: the same content always has the same digest, so engines share it.
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member


def _merged(name: str) -> str:
    name = name.removeprefix("./").strip("/")
    if name == ".":
        return ""
    return f"usr/{name}" if name.startswith(tuple(f"{top}/" for top in MERGED)) else name
