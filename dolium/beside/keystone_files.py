"""The texts around Keystone: its configuration, its keys, and what clients read to sign in."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from dolium.beside import files

USERS = {"admin": "admin", "demo": "demo", "dolium": "service"}
"""Who Dolium makes, and in which project each works. `dolium` validates tokens for the service."""

CONFIGURATION = """\
# Written by Dolium at every start; changes made here are lost.
[DEFAULT]
use_stderr = true
default_log_levels = keystone.server.flask.request_processing.req_logging=WARNING,dogpile=WARNING,\
keystone.common.rbac_enforcer.enforcer=ERROR,sqlalchemy=WARNING,stevedore=WARNING,\
alembic=WARNING
[database]
connection = sqlite:///{folder}/keystone.db
[auth]
methods = password,token,application_credential
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/fernet-keys
[fernet_receipts]
key_repository = {folder}/fernet-keys
[credential]
key_repository = {folder}/credential-keys
[cache]
# Without a cache one validation is 447 SQL statements. Behind this name: dolium/beside/cache.py.
enabled = true
backend = dogpile.cache.memory
[identity]
# bcrypt: what people choose. Dolium's own random passwords get fewer rounds (keystone_content.py).
password_hash_algorithm = bcrypt
password_hash_rounds = {rounds}
max_password_length = 72
[oslo_policy]
# Absolute: a Keystone that this machine may have in /etc/keystone is not ours.
policy_file = {folder}/policy.yaml
policy_dirs = {folder}/policy.d
[oslo_messaging_notifications]
driver = noop
"""


@dataclass(frozen=True)
class Credentials:
    """What somebody signs in with; its repr keeps the password to itself."""

    auth_url: str
    username: str
    password: str = field(repr=False)
    project_name: str
    region_name: str
    domain_name: str = "Default"


def configuration(folder: Path, rounds: int) -> str:
    """The text of keystone.conf."""
    return CONFIGURATION.format(folder=folder, rounds=rounds)


def keys(folder: Path) -> None:
    """Make the Fernet and credential keys where they are missing; present ones are never touched.

    Key 0 waits to become the next primary, key 1 is the primary (Keystone's numbering).
    """
    for name in ("fernet-keys", "credential-keys"):
        repository = files.folder(folder / name)
        for number in "01":
            if not (repository / number).exists():
                key = base64.urlsafe_b64encode(os.urandom(32)).decode()
                files.write(repository / number, key)


def passwords(path: Path) -> dict[str, str]:
    """The password of each of `USERS`, made on the first call and kept in `path` (0600)."""
    try:
        known: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        known = {}
    missing = [name for name in USERS if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(24) for name in missing}
        files.write(path, json.dumps(known, indent=2) + "\n")
    return known


def clouds(entries: dict[str, Credentials]) -> str:
    """The text of clouds.yaml (every client that knows `--os-cloud` reads it)."""
    lines = ["# Written by Dolium at every start.", "clouds:"]
    for name, who in entries.items():
        lines += [
            f"  {name}:",
            "    auth:",
            f"      auth_url: {who.auth_url}",
            f"      username: {who.username}",
            f"      password: {json.dumps(who.password)}",
            f"      project_name: {who.project_name}",
            f"      user_domain_name: {who.domain_name}",
            f"      project_domain_name: {who.domain_name}",
            f"    region_name: {who.region_name}",
            "    identity_api_version: 3",
        ]
    return "\n".join(lines) + "\n"


def openrc(who: Credentials) -> str:
    """The text of an openrc; it first forgets what another openrc may have set."""
    values = {
        "OS_AUTH_URL": who.auth_url,
        "OS_USERNAME": who.username,
        "OS_PASSWORD": who.password,
        "OS_PROJECT_NAME": who.project_name,
        "OS_USER_DOMAIN_NAME": who.domain_name,
        "OS_PROJECT_DOMAIN_NAME": who.domain_name,
        "OS_REGION_NAME": who.region_name,
        "OS_IDENTITY_API_VERSION": "3",
    }
    lines = [
        "# Written by Dolium at every start; use it with `source`.",
        "for name in $(env | grep -o '^OS_[A-Z0-9_]*'); do unset $name; done",
    ]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"
