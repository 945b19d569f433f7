"""Who uses a cloud, as every OpenStack client is told: by OS_* variables or a clouds.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, field

from dolium import errors

FILE = "OS_CLIENT_CONFIG_FILE"
"""The variable that names a clouds.yaml elsewhere."""
FOLDERS = (Path(), Path("~/.config/openstack"), Path("/etc/openstack"))
NOBODY = (
    "Nobody is signed in: source the openrc of a project, or name a cloud of your clouds.yaml "
    "with OS_CLOUD or --os-cloud"
)


class Who(Struct, frozen=True, kw_only=True):
    """How somebody signs in, and what they use."""

    kind: str
    """Name of a plugin of keystoneauth1."""
    auth: dict[str, Any] = field(default_factory=dict)
    """Its options."""
    region: str | None = None
    interface: str = "public"
    verify: bool | str = True
    """False: any certificate will do; a string: the CA's file."""
    certificate: tuple[str, str] | None = None
    """Files of the client's own certificate and key."""


def who(environ: Mapping[str, str], cloud: str | None = None) -> Who:
    """Who asks. cloud: of a clouds.yaml; else OS_CLOUD, else the variables. Raises Conflict."""
    name = cloud or environ.get("OS_CLOUD")
    if name:
        return _of_file(name, environ)
    if not (environ.get("OS_AUTH_URL") or environ.get("OS_AUTH_TYPE")):
        raise errors.Conflict(why=NOBODY)
    auth = {
        name.removeprefix("OS_").lower(): value
        for name, value in environ.items()
        if name.startswith("OS_") and value
    }
    insecure = auth.pop("insecure", "").lower() in ("1", "true", "yes")
    return _read(auth | {"verify": not insecure}, auth)


def _of_file(name: str, environ: Mapping[str, str]) -> Who:
    path = _found("clouds.yaml", environ)
    if path is None:
        places = ", ".join(str(folder / "clouds.yaml") for folder in FOLDERS)
        raise errors.Conflict(why=f"There is no clouds.yaml that could name {name} ({places})")
    clouds = _clouds(path)
    found = clouds.get(name)
    if not isinstance(found, dict):
        raise errors.Conflict(why=f"{path} has no cloud {name}; it has {', '.join(clouds)}")
    if "profile" in found or "cloud" in found:
        raise errors.Conflict(why=f"Cloud {name} of {path} is based on a profile: not known here")
    secure = _found("secure.yaml", environ)
    secret = _clouds(secure).get(name) if secure else None
    if isinstance(secret, dict):
        found = found | secret | {"auth": {**_part(found), **_part(secret)}}
    return _read(found, _part(found))


def _read(given: Mapping[str, Any], auth: dict[str, Any]) -> Who:
    auth = {name.replace("-", "_"): value for name, value in auth.items()}
    kind = given.get("auth_type") or ("password" if "password" in auth else "")
    if not kind:
        kind = "v3applicationcredential" if "application_credential_secret" in auth else "token"
    verify = given.get("verify", True)
    own, key = given.get("cert"), given.get("key")
    return Who(
        kind=str(kind),
        auth=auth,
        region=given.get("region_name"),
        interface=str(given.get("interface") or given.get("endpoint_type") or "public"),
        verify=given.get("cacert") or True if verify else False,
        certificate=(str(own), str(key)) if own and key else None,
    )


def _part(cloud: Mapping[str, Any]) -> dict[str, Any]:
    auth = cloud.get("auth")
    return auth if isinstance(auth, dict) else {}


def _found(name: str, environ: Mapping[str, str]) -> Path | None:
    """The first file of that name; beside the one that is named, where one is."""
    named = environ.get(FILE)
    folders = (Path(named).parent,) if named else FOLDERS
    paths = [folder.expanduser() / name for folder in folders]
    if named and name == "clouds.yaml":
        paths = [Path(named)]
    return next((path for path in paths if path.is_file()), None)


def _clouds(path: Path) -> dict[str, Any]:
    try:
        told = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise errors.Conflict(why=f"{path} can't be read: {error}") from None
    clouds = told.get("clouds") if isinstance(told, dict) else None
    return clouds if isinstance(clouds, dict) else {}
