"""What has the last word about hosts' room, made as configured."""

from __future__ import annotations

import random

import msgspec

from dolium import conf
from dolium.control.claims import Claims
from dolium.drivers import load
from dolium.drivers.claim.base import Driver
from dolium.model.clock import SystemClock
from dolium.store.store import Store


def driver(config: conf.Config, deployment: str) -> Driver | None:
    """The claim driver; None: the database decides alone."""
    name = config.placing.arbiter
    if not name:
        return None
    kind = load("claim", name)
    group = getattr(config, name, None)
    given = msgspec.structs.asdict(group) if group else {}
    made: Driver = kind(kind.Options(**given, deployment=deployment))
    return made


def claims(config: conf.Config, store: Store, deployment: str) -> Claims | None:
    """What asks it."""
    made = driver(config, deployment)
    if made is None:
        return None
    return Claims(store, SystemClock(), random.Random(), made, config.placing)
