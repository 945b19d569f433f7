"""A Keystone of a test cloud; tells who the service is: `STATE_DIR CONTAINER_URL [ADDRESS]`.

Also one beside a single service, and what that has to know of it.
"""

import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dolium.beside.keystone import Keystone
from dolium.clients.account import Account
from tests.live.place import port

VALIDATION = """
[keystone_authtoken]
auth_type = password
auth_url = {auth_url}
username = {username}
password = {password}
project_name = {project_name}
user_domain_name = {domain_name}
project_domain_name = {domain_name}
# What was revoked is refused a second later.
token_cache_time = 1
"""


def beside(folder: Path, services: Mapping[str, str]) -> Keystone:
    """One that runs, with these services in its catalog."""
    made = Keystone(folder, port=port(), services=services)
    made.start()
    return made


def validation(keystone: Keystone) -> str:
    """The section of a service whose users sign in there."""
    return VALIDATION.format(**vars(keystone.credentials("dolium")))


def account(keystone: Keystone, user: str) -> Account:
    """Of `admin`, of `demo`, a member of another project, or of `dolium`, a service."""
    return Account(**vars(keystone.credentials(user)))


def main(state: str, url: str, address: str = "127.0.0.1") -> None:
    keystone = Keystone(Path(state), address=address, services={"container": url} if url else {})
    keystone.start()
    Path(state, "service.json").write_bytes(msgspec.json.encode(keystone.credentials("dolium")))
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
