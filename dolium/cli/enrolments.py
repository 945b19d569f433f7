"""`dolium ca`, `dolium host` and `dolium enrol`: whom the link lets in."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from dolium import conf, errors
from dolium.cli.database import opened
from dolium.model.clock import SystemClock
from dolium.model.enrolment import token

VARIABLE = "DOLIUM_TOKEN"
"""Where `dolium enrol` finds a token that is in no file. Never an argument: all could read it."""


def found(config: conf.Config) -> int:
    """Make the CA, and with it what else all control nodes need alike."""
    from dolium.cli import keys
    from dolium.link import certificates

    certificates.found(config.ca_dir, SystemClock().now())
    keys.make(config.secret_key_file)
    sys.stdout.write(
        f"made a CA in {config.ca_dir}; copy the folder and {config.secret_key_file} to every "
        f"control node, and keep {certificates.KEY} secret: who has it can be any host\n"
    )
    return 0


def offer(config: conf.Config, host: str, ttl_s: int) -> int:
    """Print a token, alone on standard output so that it can be piped."""
    from dolium.control import enrolment
    from dolium.link import certificates

    if ttl_s < 1:
        raise errors.Invalid(field="ttl", why="It is at least one second.")
    certificate = certificates.Ca(config.ca_dir).trusted
    with opened(config) as store:
        made = enrolment.offer(store, SystemClock(), certificate, host, ttl_s)
    sys.stdout.write(f"{made}\n")
    return 0


def revoke(config: conf.Config, host: str) -> int:
    """Refuse the host's certificates and tokens from now on."""
    from dolium.control import enrolment

    with opened(config) as store:
        enrolment.revoke(store, SystemClock(), host)
    sys.stdout.write(f"host {host} is refused by every control process within 20 seconds\n")
    return 0


def enrol(config: conf.Config, urls: list[str], token_file: str | None) -> int:
    """Get a certificate for this host."""
    from dolium.link import https_agent

    read = token(_token(token_file))
    kept = https_agent.enrol(config.link_dir, config.host, urls or config.link.url, read)
    until = datetime.fromtimestamp(kept.until, UTC).strftime("%Y-%m-%d %H:%M UTC")
    sys.stdout.write(
        f"enrolled as host {kept.host}; the certificate lasts until {until}, "
        "a running agent renews it\n"
    )
    return 0


def _token(file: str | None) -> str:
    if file == "-":
        return sys.stdin.readline()
    if file:
        try:
            return Path(file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise errors.StartError(why=f"The token can't be read from {file}: {error}") from None
    if found := os.environ.get(VARIABLE):
        return found
    raise errors.StartError(
        why=f"There is no token: name its file by --token-file, or set ${VARIABLE}"
    )
