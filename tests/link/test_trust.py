"""Who is let in, who is not, and for how long: real certificates on real sockets."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dolium import errors
from dolium.control import enrolment
from dolium.link import certificates, https_agent, tls
from dolium.link.https import HttpsHosts
from dolium.link.https_client import Wire
from dolium.link.peer import bearer
from dolium.link.wire import Nothing, Pull, Strangers, Topics
from dolium.model.enrolment import Enrol, token
from dolium.model.wish import Facts, Question
from dolium.store import hosts
from tests.link.ends import Control, Echo, beside, eventually, hello

HOUR = 3600.0
QUESTION = Question(what="logs", uuid="u")


def wire(control: Control, pems: tls.Pems | None = None) -> Wire:
    """A way to the control side that looks at nothing before it speaks."""
    identity = tls.Identity(pems or control.own.identity.pems)
    return wire_to(control, control.end.port, identity.client)


def wire_to(control: Control, port: int, context: Callable[[], ssl.SSLContext]) -> Wire:
    made = Wire("127.0.0.1", port, context, lambda peer: True)
    control.leaving.append(made.drop)
    return made


def host_pems(control: Control, ca: Path, host: str, now: float, generation: int = 1) -> tls.Pems:
    """A certificate for a host, trusting the real CA whoever made it."""
    key, request = certificates.request()
    certificate = certificates.Ca(ca).host(host, generation, request.decode(), now)
    return tls.Pems(
        certificate=certificate.encode(),
        key=key,
        trusted=control.own.ca.trusted.encode(),
        until=now + certificates.LASTS_S,
    )


def send(wire: Wire, name: str, message: msgspec.Struct) -> bytes:
    return wire.call(name, msgspec.json.encode(message), 10.0)[0]


# --- tokens ------------------------------------------------------------------------------------


def test_a_token_is_good_once(control: Control) -> None:
    read = token(control.token("host1"))
    https_agent.enrol(control.folder / "host1", "host1", [control.url], read)
    with pytest.raises(errors.Untrusted, match="was used before"):
        https_agent.enrol(control.folder / "thief", "host1", [control.url], read)
    assert not (control.folder / "thief").exists()
    control.join("host1").control.hello(hello("host1", "boot"))


def test_a_request_whose_answer_was_lost_may_be_repeated(control: Control) -> None:
    secret = token(control.token("host1")).secret
    _, request = certificates.request()
    asked = Enrol(host="host1", secret=secret, request=request.decode())
    first, second = control.enrolment.enrol(asked), control.enrolment.enrol(asked)
    assert control.enrolment.accepts("host1", 1) and not control.enrolment.accepts("host1", 2)
    assert first.host == second.host == "host1"


@pytest.mark.parametrize("host, ttl_s", [("host2", 60.0), ("host1", -1.0)])
def test_a_token_of_another_host_or_time_is_refused(
    control: Control, host: str, ttl_s: float
) -> None:
    read = token(control.token("host1", ttl_s))
    with pytest.raises(errors.Untrusted, match="is not one for host"):
        https_agent.enrol(control.folder / host, host, [control.url], read)


def test_a_newer_token_voids_the_older(control: Control) -> None:
    old = token(control.token("host1"))
    control.token("host1")
    with pytest.raises(errors.Untrusted):
        https_agent.enrol(control.folder / "host1", "host1", [control.url], old)


def test_a_secret_is_told_to_nobody_whom_the_token_does_not_name(
    control: Control, tmp_path: Path
) -> None:
    read = token(control.token("host1"))
    other = Control(tmp_path / "impostor")
    asked: list[object] = []
    other.enrolment.enrol = asked.append  # type: ignore[assignment, method-assign]
    try:
        with pytest.raises(errors.Untrusted, match="its CA is another one"):
            https_agent.enrol(tmp_path / "host1", "host1", [other.url], read)
    finally:
        other.stop()
    assert asked == []


def test_only_a_digest_is_stored_and_files_are_private(control: Control) -> None:
    text = control.token("host1")
    https_agent.enrol(control.folder / "host1", "host1", [control.url], token(text))
    secret = token(text).secret.encode()
    stored = [path.read_bytes() for path in control.folder.glob("db*")]
    assert stored and not any(secret in data for data in stored)
    kept = [control.folder / "host1" / https_agent.FILE, control.ca / certificates.KEY]
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600, 0o600]


@pytest.mark.parametrize("name", ["", "../etc", "a/b", "-x", "a b", "x" * 300])
def test_a_name_that_fits_no_certificate_is_refused(control: Control, name: str) -> None:
    with pytest.raises(errors.Invalid):
        control.token(name)


# --- certificates that count, and others ---------------------------------------------------------


def test_without_a_certificate_one_can_only_enrol(control: Control) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(cadata=control.own.ca.trusted)
    stranger = wire_to(control, control.end.port, lambda: bare)
    send(stranger, "authority", Nothing())
    for name in ("renew", "hello", "wishes", "post", "fate", "hints"):
        with pytest.raises(errors.Untrusted, match="certificate of Dolium's CA is needed"):
            send(stranger, name, Nothing())


def test_a_foreign_certificate_is_refused(control: Control, tmp_path: Path) -> None:
    control.enrol("host1")
    foreign = tmp_path / "foreign"
    certificates.found(foreign, control.clock.now())
    pems = host_pems(control, foreign, "host1", control.clock.now())
    with pytest.raises((errors.Untrusted, errors.Unanswered)):
        send(wire(control, pems), "hello", hello("host1", "boot"))


def test_an_expired_certificate_is_refused(control: Control) -> None:
    control.enrol("host1")
    pems = host_pems(control, control.ca, "host1", control.clock.now() - 25 * HOUR)
    with pytest.raises((errors.Untrusted, errors.Unanswered)):
        send(wire(control, pems), "hello", hello("host1", "boot"))


def test_a_certificate_that_expires_on_an_open_connection_is_refused(control: Control) -> None:
    control.enrol("host1")
    open_one = wire(control, host_pems(control, control.ca, "host1", control.clock.now()))
    send(open_one, "hello", hello("host1", "boot"))
    control.clock.later = 24 * HOUR
    with pytest.raises(errors.Untrusted, match="host host1 has expired"):
        send(open_one, "hello", hello("host1", "boot"))


def test_a_host_that_slept_too_long_says_what_to_do(control: Control) -> None:
    control.enrol("host1")
    end = control.join("host1")
    control.clock.later = 24 * HOUR
    with pytest.raises(errors.Untrusted, match="expired; make a token with `dolium host token"):
        end.control.hello(hello("host1", "boot"))


ROLES: list[tuple[str, msgspec.Struct]] = [
    ("hello", hello("control", "boot")),
    ("wishes", Pull(host="control", boot="boot", since=0, wait_s=0)),
    ("renew", Enrol(host="", secret="", request="")),
]


@pytest.mark.parametrize("name, message", ROLES)
def test_a_control_process_is_no_host(control: Control, name: str, message: msgspec.Struct) -> None:
    with pytest.raises(errors.Untrusted, match="not for a control"):
        send(wire(control), name, message)


def test_a_host_is_no_control_process(control: Control) -> None:
    control.enrol("host1")
    pems = host_pems(control, control.ca, "host1", control.clock.now())
    with pytest.raises(errors.Untrusted, match="not for a host"):
        send(wire(control, pems), "hints", Topics(topics=("placer",)))
    assert control.store.hints.count("placer") == 0


def test_a_host_answers_control_processes_only(control: Control) -> None:
    control.enrol("host1")
    end, agent = control.join("host1"), Echo()
    end.serve(agent)
    pems = host_pems(control, control.ca, "host2", control.clock.now())
    other = wire_to(control, end.port, tls.Identity(pems).client)
    with pytest.raises(errors.Untrusted, match="not for a host"):
        send(other, "ask", QUESTION)
    assert agent.asked == []


SPOKEN: list[tuple[str, msgspec.Struct]] = [
    ("hello", hello("host2", "boot")),
    ("wishes", Pull(host="host2", boot="boot", since=0, wait_s=0)),
    ("post", Facts(host="host2", boot="boot", facts=())),
    ("fate", Strangers(host="host2", uuids=())),
]


@pytest.mark.parametrize("name, message", SPOKEN, ids=[name for name, _ in SPOKEN])
def test_a_host_speaks_for_itself_only(
    control: Control, name: str, message: msgspec.Struct, caplog: pytest.LogCaptureFixture
) -> None:
    control.enrol("host1")
    pems = host_pems(control, control.ca, "host1", control.clock.now())
    with pytest.raises(errors.Untrusted, match="Host host1 spoke in the name of host2"):
        send(wire(control, pems), name, message)
    assert "refused host host1" in caplog.text


# --- revoked -------------------------------------------------------------------------------------


def test_a_revoked_host_is_refused_everywhere_after_a_refresh(control: Control) -> None:
    control.enrol("host1")
    end = control.join("host1")
    end.serve(Echo())
    end.control.hello(hello("host1", "boot"))
    control.link.ask("host1", QUESTION)
    enrolment.revoke(control.store, control.clock, "host1")
    control.enrolment.refresh()
    with pytest.raises(errors.Untrusted, match="host1 was revoked or replaced"):
        end.control.hello(hello("host1", "boot"))
    with pytest.raises(errors.Untrusted):
        end.control.renew("")
    asks = HttpsHosts(control.own.identity, control.hosts.place, control.enrolment.accepts)
    with pytest.raises(errors.HostDown):
        asks.ask("host1", QUESTION)


def test_a_host_that_is_revoked_while_it_waits_gets_nothing(control: Control) -> None:
    control.enrol("host1")
    end = control.join("host1")
    end.control.hello(hello("host1", "boot"))
    refused: list[errors.Untrusted] = []

    def wait() -> None:
        try:
            end.control.wishes("host1", "boot", 1, 25.0)
        except errors.Untrusted as error:
            refused.append(error)

    poll = beside(wait)
    eventually(lambda: "host:host1" in control.store.hints._waiting)
    enrolment.revoke(control.store, control.clock, "host1")
    control.enrolment.refresh()
    control.store.write(lambda tx: hosts.stamp(tx, "host1"))
    poll.join(20)
    assert len(refused) == 1


def test_a_revoked_token_is_void(control: Control) -> None:
    read = token(control.token("host1"))
    enrolment.revoke(control.store, control.clock, "host1")
    with pytest.raises(errors.Untrusted):
        https_agent.enrol(control.folder / "host1", "host1", [control.url], read)
    with pytest.raises(errors.NotFound):
        enrolment.revoke(control.store, control.clock, "host2")


def test_enrolling_anew_replaces_the_older_enrolment(control: Control) -> None:
    control.enrol("host1")
    old = wire(control, host_pems(control, control.ca, "host1", control.clock.now()))
    send(old, "hello", hello("host1", "boot"))
    running = control.join("host1")
    control.enrol("host1")
    with pytest.raises(errors.Untrusted, match="revoked or replaced"):
        send(old, "hello", hello("host1", "boot"))
    running.refresh()  # takes what `dolium enrol` has written
    running.control.hello(hello("host1", "boot"))


def test_an_enrolment_that_another_process_made_counts_at_once(control: Control) -> None:
    another = enrolment.Enrolment(control.store, control.clock, control.own, "deployment")
    assert not another.accepts("host1", 1)
    control.enrol("host1")
    assert another.accepts("host1", 1)
    assert not another.accepts("host1", 2)


def test_a_host_that_answers_in_place_of_another_is_not_believed(control: Control) -> None:
    control.enrol("host2")
    end, agent = control.join("host2"), Echo()
    end.serve(agent)
    asks = HttpsHosts(
        control.own.identity, lambda host: ("127.0.0.1", end.port), lambda host, generation: True
    )
    control.leaving.append(asks.close)
    with pytest.raises(errors.HostDown):
        asks.ask("host1", QUESTION)
    assert asks.ask("host2", QUESTION).value == "u"
    assert len(agent.asked) == 1


# --- renewed -------------------------------------------------------------------------------------


# OpenSSL knows the real time only: what is old in these tests was made in the past.


def test_certificates_are_renewed_at_half_of_their_life(control: Control) -> None:
    control.clock.later = -11.5 * HOUR
    control.enrol("host1")
    end = control.join("host1")
    before = https_agent.read(control.folder / "host1")
    control.clock.later = -1 * HOUR
    end.refresh()
    assert https_agent.read(control.folder / "host1") == before
    control.clock.later = 0
    end.refresh()
    after = https_agent.read(control.folder / "host1")
    assert after.certificate != before.certificate and after.key == before.key
    assert after.until > before.until + 11 * HOUR
    end.control.hello(hello("host1", "boot"))


def test_a_host_that_was_away_renews_as_long_as_its_certificate_lasts(control: Control) -> None:
    control.clock.later = -22.5 * HOUR
    control.enrol("host1")
    control.clock.later = 0
    end = control.join("host1")
    end.refresh()
    control.clock.later = 2 * HOUR
    end.control.hello(hello("host1", "boot"))


def test_a_control_process_renews_its_own(control: Control) -> None:
    before = control.own.identity.pems
    control.own.refresh()
    assert control.own.identity.pems is before
    control.clock.later = 13 * HOUR
    control.own.refresh()
    assert control.own.identity.pems.until > before.until


def test_a_ca_is_replaced_step_by_step(control: Control, tmp_path: Path) -> None:
    """As the how-to says: trust both, sign with the new one, forget the old one."""
    control.clock.later = -22 * HOUR
    control.enrol("host1")
    end = control.join("host1")
    new = tmp_path / "new"
    certificates.found(new, control.clock.now())
    (control.ca / certificates.ALSO).write_bytes((new / certificates.CERTIFICATE).read_bytes())
    control.own.refresh()
    control.clock.later = -11 * HOUR
    end.refresh()
    end.control.hello(hello("host1", "boot"))
    old = (control.ca / certificates.CERTIFICATE).read_bytes()
    for name in (certificates.KEY, certificates.CERTIFICATE):
        tls.write(control.ca / name, (new / name).read_bytes())
    (control.ca / certificates.ALSO).write_bytes(old)
    control.own.refresh()
    end.control.hello(hello("host1", "boot"))
    control.clock.later = 0
    end.refresh()
    (control.ca / certificates.ALSO).unlink()
    control.own.refresh()
    end.control.hello(hello("host1", "boot"))
    assert https_agent.read(control.folder / "host1").trusted.encode() == (
        (new / certificates.CERTIFICATE).read_bytes() + old
    )


# --- the certificates themselves -----------------------------------------------------------------


def test_no_certificate_lasts_longer_than_a_day(control: Control) -> None:
    now = control.clock.now()
    _, request = certificates.request()
    ca = control.own.ca
    made = [
        ca.host("h", 1, request.decode(), now),
        ca.control("c", now)[0],
        ca.web(["api.example"], now)[0],
    ]
    for pem in made:
        read = x509.load_pem_x509_certificate(pem.encode())
        lasts = read.not_valid_after_utc - read.not_valid_before_utc
        assert lasts.total_seconds() == tls.LIFETIME_S


def _rsa() -> str:
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateSigningRequestBuilder()
    signed = builder.subject_name(certificates._name("x")).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize("make", [lambda: "nonsense", lambda: "", _rsa])
def test_a_request_that_is_none_is_refused(control: Control, make: Callable[[], str]) -> None:
    secret = token(control.token("host1")).secret
    with pytest.raises(errors.Invalid):
        control.enrolment.enrol(Enrol(host="host1", secret=secret, request=make()))
    control.enrol("host1")


def test_a_hosts_certificate_passes_for_no_web_server(control: Control) -> None:
    _, request = certificates.request()
    pem = control.own.ca.host("api.example", 1, request.decode(), control.clock.now())
    read = x509.load_pem_x509_certificate(pem.encode())
    kind = x509.SubjectAlternativeName
    names = read.extensions.get_extension_for_class(kind).value
    assert names.get_values_for_type(x509.DNSName) == []
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        "dolium://host/api.example/1"
    ]


def test_a_ca_that_is_half_copied_is_not_used(tmp_path: Path) -> None:
    for name in ("one", "two"):
        certificates.found(tmp_path / name, 0.0)
    key = (tmp_path / "two" / certificates.KEY).read_bytes()
    tls.write(tmp_path / "one" / certificates.KEY, key)
    with pytest.raises(errors.StartError, match=r"ca\.key is not the key of ca\.crt"):
        certificates.Ca(tmp_path / "one")


def test_a_ca_is_made_once_and_missed_clearly(tmp_path: Path) -> None:
    with pytest.raises(errors.StartError, match="dolium ca init"):
        certificates.Ca(tmp_path / "ca")
    certificates.found(tmp_path / "ca", 0.0)
    with pytest.raises(errors.StartError, match="There is a CA"):
        certificates.found(tmp_path / "ca", 0.0)


def test_a_certificate_without_our_name_has_no_bearer() -> None:
    end = "Jan  1 00:00:00 2030 GMT"
    assert bearer(None) is None and bearer({}) is None
    assert bearer({"notAfter": end, "subjectAltName": (("DNS", "dolium"),)}) is None
    two = (("URI", "dolium://control/a"), ("URI", "dolium://host/b/1"))
    assert bearer({"notAfter": end, "subjectAltName": two}) is None
