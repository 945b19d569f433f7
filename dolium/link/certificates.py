"""Dolium's own certificate authority: pure work on keys and certificates.

The only module that loads cryptography's X.509 (10 MB): control processes need it, an agent only
while it enrols. Keys are ECDSA P-256. Nothing but the CA itself lives longer than a day.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dolium import errors
from dolium.link import peer
from dolium.link.tls import LIFETIME_S, write

SKEW_S = 3600
"""A certificate begins before it is made: the clock of who reads it may be behind."""
LASTS_S = LIFETIME_S - SKEW_S
"""From its making to its end."""
CA_DAYS = 3650

CERTIFICATE = "ca.crt"
KEY = "ca.key"
ALSO = "also-trusted.crt"
"""Beside them, when the CA is replaced: certificates that are trusted besides its own."""

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def found(folder: Path, now: float) -> None:
    """Make a CA in a folder; raises StartError when there is one."""
    if (folder / KEY).exists() or (folder / CERTIFICATE).exists():
        raise errors.StartError(why=f"There is a CA in {folder}; nothing was changed")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Dolium CA {secrets.token_hex(4)}")
    begin = datetime.fromtimestamp(now - SKEW_S, UTC)
    usage = _usage(signs=True)
    certificate = (
        _builder(name, name, key.public_key(), begin, begin + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write(folder / KEY, _private(key))
    write(folder / CERTIFICATE, _pem(certificate), mode=0o644)


class Ca:
    """The CA of one folder as it is now."""

    def __init__(self, folder: Path) -> None:
        """Read it; raises StartError when there is none or it can't be read."""
        try:
            certificate = (folder / CERTIFICATE).read_bytes()
            self._key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
            also = (folder / ALSO).read_bytes() if (folder / ALSO).exists() else b""
            self._certificate = x509.load_pem_x509_certificate(certificate)
            if self._key.public_key() != self._certificate.public_key():
                raise ValueError(f"{KEY} is not the key of {CERTIFICATE}")  # one is being copied
        except (OSError, ValueError) as error:
            raise errors.StartError(
                why=f"The CA in {folder} can't be read ({error}); `dolium ca init` makes one, "
                "or copy the folder from another control node"
            ) from None
        self.trusted = (certificate + also).decode()
        """Every certificate that counts, the CA's own first."""

    def host(self, name: str, generation: int, request: str, now: float) -> str:
        """A certificate for a host with the public key of its request."""
        key = _requested(request)
        return self._sign(key, [_uri(peer.uri(peer.HOST, name, generation))], now, CLIENT, SERVER)

    def control(self, name: str, now: float) -> tuple[str, bytes]:
        """A certificate and a key for a control process."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_uri(peer.uri(peer.CONTROL, name))]
        return self._sign(key.public_key(), names, now, CLIENT, SERVER), _private(key)

    def web(self, names: Sequence[str], now: float) -> tuple[str, bytes]:
        """A certificate and a key for the public API under the DNS names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign(key.public_key(), [_web(name) for name in names], now, SERVER), (
            _private(key)
        )

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        names: Sequence[x509.GeneralName],
        now: float,
        *usages: x509.ObjectIdentifier,
    ) -> str:
        begin = datetime.fromtimestamp(now - SKEW_S, UTC)
        end = begin + timedelta(seconds=LIFETIME_S)
        own = self._certificate
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        signed = (
            _builder(_name("Dolium"), own.subject, key, begin, end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_issuer(own), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pem(signed).decode()


def request() -> tuple[bytes, bytes]:
    """A new key and the request for a certificate for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(_name("Dolium host"))
    signed = asked.sign(key, hashes.SHA256())
    return _private(key), signed.public_bytes(serialization.Encoding.PEM)


def fingerprint_of_key(text: str) -> str:
    """What tells one request's public key from another's."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        _requested(text).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize().hex()


def _requested(text: str) -> ec.EllipticCurvePublicKey:
    """The public key of a request that proves to have the private one."""
    try:
        asked = x509.load_pem_x509_csr(text.encode())
        key = asked.public_key()
        good = asked.is_signature_valid
    except (ValueError, InvalidSignature):
        raise errors.Invalid(field="request", why="It can't be read.") from None
    if not good or not isinstance(key, ec.EllipticCurvePublicKey):
        raise errors.Invalid(field="request", why="It is not signed by an ECDSA key of its own.")
    if key.curve.name != ec.SECP256R1.name:
        raise errors.Invalid(field="request", why="Its key is not on the curve P-256.")
    return key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer(own: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    known = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def _web(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
