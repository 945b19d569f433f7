"""Rules: the defaults, an operator's file, and a memory that forgets in time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from oslo_policy import policy as oslo

from dolium import errors
from dolium.api import rules
from dolium.api.policy import LOOK_S, Policy
from dolium.model.context import Context
from tests.control.world import TickingClock
from tests.stories.cloud import Cloud

SAMPLE = Path(__file__).parents[2] / "docs/reference/policy.yaml"


def who(*roles: str, project: str = "north", user: str = "alice") -> Context:
    return Context(user_id=user, project_id=project, request_id="r", roles=roles)


@pytest.mark.parametrize(
    ("roles", "writes", "reads"),
    [
        (("member", "reader"), True, True),
        (("reader",), False, True),
        (("heat_stack_owner",), True, True),
        (("auditor", "reader"), False, True),
        (("admin",), True, True),
    ],
)
def test_who_may_change_and_who_may_look(roles: tuple[str, ...], writes: bool, reads: bool) -> None:
    policy = Policy()
    assert policy.allows("container:start", who(*roles), "north") is writes
    assert policy.allows("container:logs", who(*roles), "north") is reads


def test_only_administrators_reach_into_other_projects() -> None:
    policy = Policy()
    assert not policy.allows("container:logs", who("member"), "south")
    assert policy.allows("container:logs", who("admin"), "south")


def test_what_has_no_project_belongs_to_nobody() -> None:
    assert not Policy().allows("container:get_all", who("member", project=""), "")


def test_a_rule_nobody_knows_is_no_permission() -> None:
    assert not Policy().allows("container:explode", who("member"), "north")


def test_hidden_fields_are_those_with_a_rule_that_says_no() -> None:
    policy = Policy()
    guarded = {"host", "image_pull_policy", "privileged", "runtime"}
    assert policy.hidden("container:get_one", who("member")) == guarded
    assert policy.hidden("container:get_one", who("admin")) == set()


def test_a_file_overrides_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file, clock = tmp_path / "policy.yaml", TickingClock()
    file.write_text('"container:start": "role:operator"\n')
    policy = Policy(str(file), clock)
    assert not policy.allows("container:start", who("member"), "north")
    assert policy.allows("container:stop", who("member"), "north")
    file.write_text('"container:start": ""\n')
    assert not policy.allows("container:start", who("member"), "north")
    clock.time += LOOK_S + 1
    assert policy.allows("container:start", who("member"), "north")


def test_a_file_that_broke_keeps_the_rules_there_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, clock = tmp_path / "policy.yaml", TickingClock()
    file.write_text('"container:start": "role:operator"\n')
    policy = Policy(str(file), clock)
    assert not policy.allows("container:start", who("member"), "north")
    file.write_text("[broken")
    clock.time += LOOK_S + 1
    assert not policy.allows("container:start", who("member"), "north")
    assert "the old rules stay" in caplog.text


def test_a_file_that_is_gone_keeps_the_rules_there_were(tmp_path: Path) -> None:
    file, clock = tmp_path / "policy.yaml", TickingClock()
    file.write_text('"container:start": "role:operator"\n')
    policy = Policy(str(file), clock)
    assert not policy.allows("container:start", who("member"), "north")
    os.unlink(file)
    clock.time += LOOK_S + 1
    assert not policy.allows("container:start", who("member"), "north")


def test_no_file_where_one_was_named_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(errors.StartError, match="policy file"):
        Policy(str(tmp_path / "nosuch.yaml"))


def test_rules_may_ask_whose_it_is(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"container:delete": "user_id:%(user_id)s"\n')
    cloud = Cloud(str(file))
    cloud.call("POST", "/v1/containers", body={"image": "cirros", "name": "web"})
    cloud.host.look()
    assert cloud.call("DELETE", "/v1/containers/web", who="anna").status == 403
    assert cloud.call("DELETE", "/v1/containers/web", who="alice").status == 204


def test_operators_may_hide_more_fields(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"container:get_one:environment": "role:admin"\n')
    cloud = Cloud(str(file))
    secret = {"image": "cirros", "name": "web", "environment": {"PASSWORD": "x"}}
    created = cloud.call("POST", "/v1/containers", body=secret).json
    shown = cloud.call("GET", "/v1/containers/web").json
    (listed,) = cloud.call("GET", "/v1/containers").json["containers"]
    for answer in (created, shown, listed):
        assert "environment" not in answer
        assert "host" not in answer
        assert answer["name"] == "web"
    told = cloud.call("GET", "/v1/containers/web", who="root").json
    assert told["environment"] == {"PASSWORD": "x"}


def test_the_sample_is_up_to_date_and_changes_nothing() -> None:
    assert SAMPLE.read_text() == rules.sample(), "`make docs` writes it anew"
    active = "\n".join(
        line.removeprefix("#") for line in SAMPLE.read_text().splitlines() if '"' in line
    )
    read = oslo.Rules.load(active)
    assert {name: str(check) for name, check in read.items()} == {
        rule.name: str(rule.check) for rule in rules.rules()
    }
