"""What has the last word about hosts' room is made as configured."""

from __future__ import annotations

import pytest

from dolium import conf, errors
from dolium.cli import arbiter
from dolium.drivers.claim.fake import Fake
from dolium.drivers.claim.placement import PlacementClaim
from tests.control.world import make_store


def test_the_database_decides_alone_by_default() -> None:
    assert arbiter.driver(conf.Config(), "deployment") is None
    assert arbiter.claims(conf.Config(), make_store(), "deployment") is None


def test_placement_is_made_with_its_account() -> None:
    config = conf.Config(
        placing=conf.Placing(arbiter="placement"),
        placement=conf.Placement(auth_url="https://keystone.example", username="dolium"),
    )
    made = arbiter.driver(config, "deployment")
    assert isinstance(made, PlacementClaim)
    assert (made._options.username, made._options.deployment) == ("dolium", "deployment")
    assert arbiter.claims(config, make_store(), "deployment") is not None


def test_any_driver_may_be_named() -> None:
    config = conf.Config(placing=conf.Placing(arbiter="fake"))
    assert isinstance(arbiter.driver(config, "deployment"), Fake)


@pytest.mark.parametrize("name", ["placement", "nonsense"])
def test_what_can_not_work_is_told_at_the_start(name: str) -> None:
    with pytest.raises(errors.StartError):
        arbiter.driver(conf.Config(placing=conf.Placing(arbiter=name)), "deployment")
