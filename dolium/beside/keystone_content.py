"""What Keystone shall contain before it serves: roles, users, projects, catalog. Runs in the child.

Everything here looks first and can be killed and repeated anywhere. Each part is remembered by a
digest of its wish once it is done, so that a usual start does nothing, and what somebody changed
through Keystone since then (a password, an endpoint) is left alone until the wish itself changes.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dolium.beside import files, keystone_files

RANDOM_ROUNDS = 4
"""bcrypt rounds for the passwords that Dolium makes, bcrypt's least: rounds slow guessing down, and
192 random bits are not guessed at any speed. A sign-in then costs 2 ms instead of 65."""

ROLES = {"demo": "member", "dolium": "service"}
"""`member` implies `reader`; `service` is what Keystone asks of whoever validates tokens."""


def fill(folder: Path, wish: Mapping[str, Any]) -> None:
    """Make Keystone contain what the wish says; called when its application is ready."""
    done_file = folder / "applied.json"
    done: dict[str, str] = json.loads(done_file.read_text()) if done_file.exists() else {}
    parts = {
        "users": (_users, [wish["passwords"], wish["region"]]),
        "catalog": (_catalog, [wish["services"], wish["region"]]),
    }
    for name, (make, values) in parts.items():
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        if done.get(name) != digest:
            make(wish)
            done[name] = digest
            files.write(done_file, json.dumps(done, indent=2) + "\n")


def _users(wish: Mapping[str, Any]) -> None:
    from keystone.conf import CONF

    CONF.set_override("password_hash_rounds", RANDOM_ROUNDS, group="identity")
    try:
        _bootstrap(wish)
        for name, role in ROLES.items():
            project = _project(keystone_files.USERS[name])
            _grant(_user(name, wish["passwords"][name]), project, role)
    finally:
        CONF.clear_override("password_hash_rounds", group="identity")


def _bootstrap(wish: Mapping[str, Any]) -> None:
    """Keystone's own beginning: domain, admin with its project, and the standard roles."""
    from keystone.cmd import bootstrap

    # The application has loaded the backends; a second time in one process fails.
    setattr(bootstrap, "backends", SimpleNamespace(load_backends=lambda: None))  # noqa: B010
    first = bootstrap.Bootstrapper()
    first.admin_username, first.admin_password = "admin", wish["passwords"]["admin"]
    first.project_name, first.admin_role_name = keystone_files.USERS["admin"], "admin"
    first.region_id = wish["region"]
    first.immutable_roles = True
    first.bootstrap()


def _providers() -> Any:
    from keystone.common.provider_api import ProviderAPIs

    return ProviderAPIs


def _project(name: str) -> str:
    from keystone import exception

    resource = _providers().resource_api
    try:
        return str(resource.get_project_by_name(name, "default")["id"])
    except exception.ProjectNotFound:
        project = {
            "id": uuid.uuid4().hex,
            "name": name,
            "domain_id": "default",
            "parent_id": "default",
            "is_domain": False,
            "enabled": True,
            "description": f"Made by Dolium for {name}",
        }
        return str(resource.create_project(project["id"], project)["id"])


def _user(name: str, password: str) -> str:
    """The user's id; a user who exists has this password afterwards."""
    from keystone import exception

    identity = _providers().identity_api
    try:
        user = identity.get_user_by_name(name, "default")
    except exception.UserNotFound:
        wish = {"name": name, "domain_id": "default", "enabled": True, "password": password}
        return str(identity.create_user(wish)["id"])
    try:
        identity.driver.authenticate(user["id"], password)
    except AssertionError:  # what Keystone's driver raises for a wrong password
        identity.update_user(user["id"], {"password": password})
    return str(user["id"])


def _grant(user: str, project: str, role: str) -> None:
    from keystone import exception
    from keystone.common import driver_hints

    hints = driver_hints.Hints()
    hints.add_filter("name", role)
    (found,) = _providers().role_api.list_roles(hints)
    try:
        _providers().assignment_api.create_grant(found["id"], user_id=user, project_id=project)
    except exception.Conflict:
        pass  # granted already


def _catalog(wish: Mapping[str, Any]) -> None:
    from keystone import exception

    catalog = _providers().catalog_api
    try:
        catalog.create_region(region_ref={"id": wish["region"]})
    except exception.Conflict:
        pass  # it is there already
    services = {service["type"]: service["id"] for service in catalog.list_services()}
    for kind, url in wish["services"].items():
        if kind not in services:
            services[kind] = uuid.uuid4().hex
            name = "keystone" if kind == "identity" else "dolium"
            service = {"id": services[kind], "type": kind, "name": name, "enabled": True}
            catalog.create_service(services[kind], service)
        _endpoints(services[kind], url, wish["region"])


def _endpoints(service: str, url: str, region: str) -> None:
    """One URL on all three interfaces: clients differ in which one they ask for."""
    catalog = _providers().catalog_api
    present = {e["interface"]: e for e in catalog.list_endpoints() if e["service_id"] == service}
    for interface in ("public", "internal", "admin"):
        endpoint = {
            "interface": interface,
            "url": url,
            "service_id": service,
            "region_id": region,
            "enabled": True,
        }
        if interface not in present:
            identity = uuid.uuid4().hex
            catalog.create_endpoint(identity, endpoint | {"id": identity})
        elif present[interface]["url"] != url:
            catalog.update_endpoint(present[interface]["id"], endpoint)
