"""Who asks an OpenStack service, and the session of such an account."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs


class Account(Struct, frozen=True, kw_only=True):
    """Who asks, and where."""

    auth_url: str = ""
    username: str = ""
    password: str = ""
    project_name: str = ""
    domain_name: str = "Default"
    region_name: str = ""
    endpoint: str = ""
    """Instead of what the catalog says."""
    token: str = ""
    """Instead of signing in, for a service without Keystone; needs `endpoint`."""
    cafile: str = ""
    """Who vouches for the services' certificates, PEM; empty: whom the system trusts."""


def account(options: Struct) -> Account:
    """Of a driver's options, which name its fields alike."""
    given = structs.asdict(options)
    return Account(**{name: given[name] for name in Account.__struct_fields__ if name in given})


def auth(account: Account) -> Any:
    """How it signs in, for a session of keystoneauth1."""
    # Imported here: half a second that only who uses it needs.
    from keystoneauth1 import identity, token_endpoint

    if account.token:
        return token_endpoint.Token(account.endpoint, account.token)
    return identity.Password(
        auth_url=account.auth_url,
        username=account.username,
        password=account.password,
        project_name=account.project_name,
        user_domain_name=account.domain_name,
        project_domain_name=account.domain_name,
    )
