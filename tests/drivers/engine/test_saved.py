"""Archives of images are a user's own: an engine gets only what they may say."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolium import errors
from dolium.drivers.engine.saved import rewritten
from tests.tars import tar, untar

NAME = "dolium.invalid/glance:1"
LAYER = tar(("made", b"here"))
DIGEST = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"


def config(*digests: str) -> bytes:
    return msgspec.json.encode({"os": "linux", "rootfs": {"diff_ids": digests}})


def manifest(*layers: str, tags: tuple[str, ...] = ("theirs:latest",), **more: Any) -> bytes:
    told = {"Config": "c.json", "RepoTags": tags, "Layers": layers} | more
    return msgspec.json.encode([told])


def good(**files: bytes) -> dict[str, bytes]:
    return {"c.json": config(DIGEST), "l/layer.tar": LAYER} | files


def loaded(archive: bytes, size: int = 1000) -> dict[str, bytes]:
    """The files that an engine gets."""
    pieces = (archive[at : at + size] for at in range(0, len(archive), size))
    return untar(b"".join(rewritten(NAME, pieces)))


def linked(*links: tuple[str, str, bytes], **files: bytes) -> bytes:
    """An archive with links: name, where to, kind."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as made:
        for name, to, kind in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, to
            made.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def test_it_gives_one_name_and_this_one() -> None:
    files = good()
    archive = tar(
        *files.items(),
        ("manifest.json", manifest("l/layer.tar")),
        ("repositories", b'{"theirs": {"latest": "l"}}'),
        ("index.json", b'{"manifests": []}'),
        ("oci-layout", b"{}"),
    )
    got = loaded(archive)
    assert msgspec.json.decode(got.pop("manifest.json")) == [
        {"Config": "c.json", "RepoTags": [NAME], "Layers": ["l/layer.tar"]}
    ]
    assert got == files


@given(st.integers(min_value=1, max_value=20_000))
def test_it_does_not_matter_how_it_comes(size: int) -> None:
    archive = tar(*good().items(), ("manifest.json", manifest("l/layer.tar")))
    assert loaded(archive, size).keys() == {"c.json", "l/layer.tar", "manifest.json"}


def test_the_manifest_comes_after_the_last_piece() -> None:
    archive = tar(*good().items(), ("manifest.json", manifest("l/layer.tar")))

    def pieces() -> Iterator[bytes]:
        yield archive + bytes(100_000)
        raise errors.Refused(why="its digest is another")

    got = b""
    with pytest.raises(errors.Refused, match="its digest is another"):
        for piece in rewritten(NAME, pieces()):
            got += piece
    assert b"manifest.json" not in got


def test_compressed_layers_are_known_by_what_is_in_them() -> None:
    archive = tar(*good(**{"l/layer.tar": gzip.compress(LAYER)}).items(), _listed())
    assert gzip.decompress(loaded(archive)["l/layer.tar"]) == LAYER


def _listed() -> tuple[str, bytes]:
    return "manifest.json", manifest("l/layer.tar")


def test_links_to_layers_are_followed_and_not_passed_on() -> None:
    """As older engines write what they have twice."""
    archive = linked(
        ("a/layer.tar", "../l/layer.tar", tarfile.SYMTYPE),
        ("b.tar", "a/layer.tar", tarfile.LNKTYPE),
        **good(**{"c.json": config(DIGEST, DIGEST)}),
        **{"manifest.json": manifest("b.tar", "l/layer.tar")},
    )
    got = loaded(archive)
    (told,) = msgspec.json.decode(got["manifest.json"])
    assert told["Layers"] == ["l/layer.tar", "l/layer.tar"]
    assert got.keys() == {"c.json", "l/layer.tar", "manifest.json"}


ENTRY = manifest("l/layer.tar")[1:-1]
OTHERS = f"sha256:{'1' * 64}"
UNFIT: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "it is no tar archive"),
    "no tar": (lambda: b"QFI\xfb" * 4096, "it is no tar archive"),
    "cut off": (lambda: tar(*good().items(), _listed())[:1000], "it is no tar archive"),
    "no manifest": (lambda: tar(*good().items()), "there is no manifest.json"),
    "a manifest that is none": (
        lambda: tar(*good().items(), ("manifest.json", b"{")),
        "manifest.json can't be read",
    ),
    "two images": (
        lambda: tar(*good().items(), ("manifest.json", b"[%s]" % b",".join([ENTRY, ENTRY]))),
        "it has 2 images",
    ),
    "a layer of somebody else's": (
        lambda: tar(*good(**{"c.json": config(OTHERS)}).items(), _listed()),
        f"its layer {OTHERS} is not in it",
    ),
    "a layer more than there is": (
        lambda: tar(*good(**{"c.json": config(DIGEST, OTHERS)}).items(), _listed()),
        "it has 1 layers and tells of 2",
    ),
    "a layer that is nowhere": (
        lambda: tar(*good().items(), ("manifest.json", manifest("nowhere"))),
        "is not in it",
    ),
    "a way out": (lambda: tar(("../../etc/passwd", b"")), "leads out of it"),
    "a file twice": (
        lambda: tar(*good().items(), _listed(), _listed()),
        "it has manifest.json twice",
    ),
    "another way to write the same path": (
        lambda: tar(*good().items(), _listed(), ("./manifest.json", b"[]")),
        "it has manifest.json twice",
    ),
    "a manifest that is a link": (
        lambda: linked(("manifest.json", "m", tarfile.SYMTYPE), **good(m=manifest("l/layer.tar"))),
        "there is no manifest.json",
    ),
    "a link that leads nowhere": (
        lambda: linked(
            ("a", "b", tarfile.SYMTYPE),
            ("b", "a", tarfile.SYMTYPE),
            **good(**{"manifest.json": manifest("a")}),
        ),
        "leads nowhere",
    ),
    "a device": (lambda: linked(("null", "", tarfile.CHRTYPE)), "null is no file"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_no_such_archive_says_why(kind: str) -> None:
    make, why = UNFIT[kind]
    with pytest.raises(errors.Refused, match="The image is no archive that `docker save`") as told:
        loaded(make())
    assert why in str(told.value)


@given(st.binary(max_size=5000))
def test_anything_is_refused_and_nothing_else(archive: bytes) -> None:
    with pytest.raises(errors.Refused):
        loaded(archive)
