"""Which hosts may use the link: tokens, certificates, revocation.

Implements link.base.Registrar. What counts is a row per host; each control process keeps a copy,
read anew several times a minute, so that a request costs no statement.
"""

from __future__ import annotations

import logging
import secrets
from typing import Protocol

from dolium import errors
from dolium.link import certificates, tls
from dolium.model.clock import Clock
from dolium.model.enrolment import Authority, Certified, Enrol, Token, check_name, digest
from dolium.store import enrolments
from dolium.store.store import Store, Tx

LOG = logging.getLogger(__name__)

TTL_S = 3600.0
"""How long a token is good."""


class Own(Protocol):
    """Who has the CA as it is now (link.https_control.Own)."""

    ca: certificates.Ca


class Enrolment:
    """Rules of who gets a certificate; safe to use from many threads."""

    def __init__(self, store: Store, clock: Clock, own: Own, deployment: str) -> None:
        self._store, self._clock, self._own = store, clock, own
        self._deployment = deployment
        self._known: dict[str, int] = {}

    def authority(self) -> Authority:
        """When somebody asks whom to trust."""
        return Authority(trusted=self._own.ca.trusted)

    def enrol(self, asked: Enrol) -> Certified:
        """When a host comes with a token; raises Untrusted when that is no good."""
        host = check_name(asked.host)
        key = certificates.fingerprint_of_key(asked.request)
        now = self._clock.now()

        def work(tx: Tx) -> int | None:
            return enrolments.spend(tx, host, digest(asked.secret), key, now)

        generation = self._store.write(work)
        if generation is None:
            raise errors.Untrusted(
                why=f"The token is not one for host {host}, was used before or is too old; "
                f"`dolium host token {host}` makes another"
            )
        LOG.info("host %s enrolled, generation %d", host, generation)
        self._known[host] = generation
        return self._certified(host, generation, asked.request)

    def renew(self, host: str, generation: int, request: str) -> Certified:
        """When a host that is accepted asks."""
        return self._certified(host, generation, request)

    def _certified(self, host: str, generation: int, request: str) -> Certified:
        now, ca = self._clock.now(), self._own.ca
        return Certified(
            host=host,
            certificate=ca.host(host, generation, request, now),
            trusted=ca.trusted,
            until=now + certificates.LASTS_S,
            deployment=self._deployment,
        )

    def accepts(self, host: str, generation: int) -> bool:
        """At each request. A newer enrolment than we know of was made by another process."""
        known = self._known.get(host)
        if known is None or known < generation:
            with self._store.read() as connection:
                known = enrolments.generation(connection, host)
            if known is None:
                return False
            self._known[host] = known
        return generation == known

    def refresh(self) -> None:
        """Several times a minute: what was revoked elsewhere counts here too."""
        with self._store.read() as connection:
            self._known = enrolments.generations(connection)


def offer(store: Store, clock: Clock, ca: str, host: str, ttl_s: float = TTL_S) -> Token:
    """When an operator wants a host to enrol: a token, of which only a digest is kept.

    ca: the certificate of the CA that the host is to trust, as PEM.
    """
    check_name(host)
    token = Token(tls.fingerprint(ca), secrets.token_urlsafe(32))
    now = clock.now()
    stored = digest(token.secret)
    store.write(lambda tx: enrolments.offer(tx, host, stored, now + ttl_s, now))
    return token


def revoke(store: Store, clock: Clock, host: str) -> None:
    """When a host is not to be trusted any more; raises NotFound when it never enrolled."""
    now = clock.now()
    if not store.write(lambda tx: enrolments.revoke(tx, host, now)):
        raise errors.NotFound(kind="Enrolment of host", id=host)
