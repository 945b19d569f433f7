"""What is written into certificates, tokens and errors is read as it was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolium import errors
from dolium.link import peer
from dolium.link.wire import refusal, revived
from dolium.model.enrolment import NAME, Token, digest, token


@given(st.text(min_size=1), st.integers(0, 2**63))
def test_a_uri_names_exactly_one_bearer(name: str, generation: int) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    host = peer.read(peer.uri(peer.HOST, name, generation))
    assert host == peer.Peer(role=peer.HOST, name=name, generation=generation)
    control = peer.read(peer.uri(peer.CONTROL, name))
    assert control == peer.Peer(role=peer.CONTROL, name=name)


@given(st.text())
def test_any_other_text_names_nobody_or_what_it_says(text: str) -> None:
    for written in (text, f"{peer.SCHEME}{text}"):
        found = peer.read(written)
        assert found is None or found.role in (peer.HOST, peer.CONTROL)


@given(st.binary(min_size=32, max_size=32), st.from_regex(r"[A-Za-z0-9_-]{1,50}", fullmatch=True))
def test_a_token_is_read_as_written(fingerprint: bytes, secret: str) -> None:
    written = Token(fingerprint, secret)
    assert token(f" {written}\n") == written
    assert digest(secret) not in str(written)


@given(st.text())
def test_what_is_no_token_is_said(text: str) -> None:
    for written in (text, f"dolium1.{text}"):
        try:
            read = token(written)
        except errors.StartError:
            continue
        assert len(read.fingerprint) == 32 and read.secret


@given(st.from_regex(NAME, fullmatch=True))
def test_names_of_hosts_stand_in_certificates_as_they_are(name: str) -> None:
    assert peer.uri(peer.HOST, name, 1) == f"dolium://host/{name}/1"


def _facts(kind: type[errors.Error]) -> dict[str, str]:
    import string

    names = (name for _, name, _, _ in string.Formatter().parse(kind.text) if name)
    return {name: f"a {name}" for name in names}


@pytest.mark.parametrize("kind", errors.Error.by_code.values(), ids=lambda kind: kind.code)
def test_an_error_comes_back_as_the_same_class(kind: type[errors.Error]) -> None:
    told = kind(**_facts(kind))
    back = revived(kind.status, refusal(told))
    assert (type(back), back.facts, str(back)) == (kind, told.facts, str(told))


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"code":"dolium.not_found"}', b"[]"])
def test_what_is_no_error_of_ours_is_said_too(body: bytes) -> None:
    assert isinstance(revived(503, body), errors.Unanswered)
