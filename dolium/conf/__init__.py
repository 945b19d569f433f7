"""Configuration: oslo.config files in, frozen structs out. The only reader of configuration."""

from __future__ import annotations

import os
import re
import socket
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec
from msgspec import Struct

from dolium import errors
from dolium.conf.groups import (
    Agent as Agent,
)
from dolium.conf.groups import (
    Api as Api,
)
from dolium.conf.groups import (
    Database as Database,
)
from dolium.conf.groups import (
    Default as Default,
)
from dolium.conf.groups import (
    Engine as Engine,
)
from dolium.conf.groups import (
    FenceCommand as FenceCommand,
)
from dolium.conf.groups import (
    FenceNova as FenceNova,
)
from dolium.conf.groups import (
    Glance as Glance,
)
from dolium.conf.groups import (
    Hosts as Hosts,
)
from dolium.conf.groups import (
    Identity as Identity,
)
from dolium.conf.groups import (
    Keystone as Keystone,
)
from dolium.conf.groups import (
    Limits as Limits,
)
from dolium.conf.groups import (
    Link as Link,
)
from dolium.conf.groups import (
    Metrics as Metrics,
)
from dolium.conf.groups import (
    Network as Network,
)
from dolium.conf.groups import (
    Place as Place,
)
from dolium.conf.groups import (
    Placement as Placement,
)
from dolium.conf.groups import (
    Placing as Placing,
)
from dolium.conf.groups import (
    Quota as Quota,
)
from dolium.conf.groups import (
    Wsproxy as Wsproxy,
)
from dolium.conf.groups import (
    is_loopback as is_loopback,
)

if TYPE_CHECKING:
    from oslo_config import cfg


class Config(Struct, frozen=True):
    """All of it."""

    default: Default = Default()
    api: Api = Api()
    database: Database = Database()
    identity: Identity = Identity()
    keystone: Keystone = Keystone()
    engine: Engine = Engine()
    limits: Limits = Limits()
    quota: Quota = Quota()
    place: Place = Place()
    placing: Placing = Placing()
    network: Network = Network()
    agent: Agent = Agent()
    link: Link = Link()
    hosts: Hosts = Hosts()
    wsproxy: Wsproxy = Wsproxy()
    metrics: Metrics = Metrics()
    fence_command: FenceCommand = FenceCommand()
    fence_nova: FenceNova = FenceNova()
    placement: Placement = Placement()
    glance: Glance = Glance()

    @property
    def host(self) -> str:
        """This host's name."""
        return self.default.host or socket.gethostname()

    @property
    def state_dir(self) -> Path:
        """The folder everything is kept in."""
        return Path(self.default.state_dir)

    @property
    def ca_dir(self) -> Path:
        """Where control nodes have Dolium's CA."""
        return Path(self.link.ca_dir) if self.link.ca_dir else self.state_dir / "ca"

    @property
    def secret_key_file(self) -> Path:
        """Where the keys are that seal secrets in the database."""
        named = self.default.secret_key_file
        return Path(named) if named else self.state_dir / "secrets.key"

    @property
    def link_dir(self) -> Path:
        """Where a host keeps what it was enrolled with."""
        return self.state_dir / "link"


_WHERE = re.compile(r" from LocationInfo\(.*?detail='([^']*)'\)")
"""What oslo.config adds for programmers."""

_ENVIRONMENT = re.compile("OS_[A-Z]+__[A-Z_0-9]+")
"""Variables that oslo.config reads options from."""


def groups() -> dict[str, type[Struct]]:
    """Group name -> its struct."""
    return {field.name: field.type for field in msgspec.structs.fields(Config)}


def options(group: type[Struct]) -> list[cfg.Opt]:
    """The oslo.config options of one group, made from its struct."""
    from oslo_config import cfg

    kinds = {str: cfg.StrOpt, bool: cfg.BoolOpt, int: cfg.IntOpt, float: cfg.FloatOpt}
    hints = typing.get_type_hints(group, include_extras=True)
    made = []
    for field in msgspec.structs.fields(group):
        kind, meta = get_args(hints[field.name])
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        option = cfg.ListOpt if get_origin(kind) is list else kinds[kind]
        made.append(option(field.name, default=default, help=meta.description))
    return made


def load(files: list[Path] | None = None, **overrides: dict[str, Any]) -> Config:
    """Read files (none is fine) and overrides `group={"option": value}`.

    Raises StartError naming the option that can't be read.
    """
    configured = files or any(map(_ENVIRONMENT.fullmatch, os.environ))
    read = _read(files or []) if configured else {}
    for name, values in overrides.items():
        read[name] = read.get(name, {}) | values
    try:
        return msgspec.convert(read, Config)
    except ValueError as error:
        raise _unreadable(error) from None


def _read(files: list[Path]) -> dict[str, dict[str, Any]]:
    """What oslo.config reads, by group; where nothing is configured 0.1 s of import is saved."""
    from oslo_config import cfg

    source = cfg.ConfigOpts()
    for name, group in groups().items():
        source.register_opts(options(group), group=None if name == "default" else name)
    try:
        source(
            args=[],
            project="dolium",
            default_config_files=[str(path) for path in files],
            default_config_dirs=[],
        )
        return {name: _group(source, name, group) for name, group in groups().items()}
    except (cfg.Error, ValueError) as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> errors.StartError:
    why = _WHERE.sub(r" in \1", str(error))
    return errors.StartError(why=f"The configuration can't be read: {why}")


def _group(source: cfg.ConfigOpts, name: str, group: type[Struct]) -> dict[str, Any]:
    held = source if name == "default" else source[name]
    return {field: held[field] for field in group.__struct_fields__}
