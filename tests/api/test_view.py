"""A container's bytes."""

from __future__ import annotations

import msgspec
import pytest

from dolium.api.zun import container_view as view
from dolium.model import record
from dolium.model.clock import spaced
from dolium.model.container import Look, Spec, guarded, shown

ALL: frozenset[str] = frozenset()
NOW = 1_800_000_000.0


def row(**values: object) -> record.Container:
    spec, encode = Spec(image='cir"ros', labels={"ü": "\n"}), msgspec.json.encode
    known: dict[str, object] = {
        "id": 1,
        "uuid": "12345678-1234-1234-1234-123456789abc",
        "name": 'w"eb',
        "project_id": "north",
        "user_id": "alice",
        "status": "Running",
        "status_reason": 'a "reason"\n',
        "task_state": None,
        "host": 'h"1',
        "created_at": NOW - 100,
        "updated_at": None,
        "started_at": NOW - 61,
        "finished_at": None,
        "exit_code": None,
        "health": None,
        "progress": None,
        "generation": 1,
        "spec": encode(spec),
        "shown": encode(shown(spec)),
        "guarded": encode(guarded(spec)),
        "look": encode(Look()),
        "addresses": b"null",
        "capsule_id": None,
        "part": None,
    }
    return msgspec.convert(known | values, record.Container)


def test_splicing_makes_json_whatever_is_in_it() -> None:
    told = msgspec.json.decode(view.one(row(), ALL, NOW, 'http://a"b'))
    assert told["name"] == 'w"eb'
    assert told["image"] == 'cir"ros'
    assert told["labels"] == {"ü": "\n"}
    assert told["status_reason"] == 'a "reason"\n'
    assert told["host"] == 'h"1'
    assert told["links"][0]["href"] == f'http://a"b/v1/containers/{told["uuid"]}'
    assert told["created_at"] == spaced(NOW - 100)


def test_keys_come_in_an_order_people_can_read() -> None:
    told = list(msgspec.json.decode(view.one(row(), ALL, NOW, "http://a")))
    assert told[:6] == ["uuid", "links", "name", "project_id", "user_id", "status"]
    assert told[-3:] == ["status_detail", "created_at", "updated_at"]
    assert len(told) == len(set(told)) == 37


def test_a_page_has_the_same_without_links() -> None:
    one = msgspec.json.decode(view.one(row(), view.GUARDED, NOW, "http://a"))
    page = msgspec.json.decode(view.page([row(), row()], view.GUARDED, NOW, "next"))
    assert page["next"] == "next"
    assert page["containers"] == [{k: v for k, v in one.items() if k != "links"}] * 2
    assert view.page([], ALL, NOW, None) == b'{"containers":[],"next":null}'


@pytest.mark.parametrize("hidden", [view.GUARDED, frozenset({"labels"}), frozenset({"links"})])
def test_hidden_fields_are_absent(hidden: frozenset[str]) -> None:
    whole = msgspec.json.decode(view.one(row(), ALL, NOW, "http://a"))
    told = msgspec.json.decode(view.one(row(), hidden, NOW, "http://a"))
    assert told == {k: v for k, v in whole.items() if k not in hidden}


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"status": "Creating"}, None),
        ({"status": "Created"}, "Created"),
        ({"started_at": NOW - 59}, "Up 59 seconds"),
        ({"started_at": NOW - 60}, "Up 1 mins"),
        ({"started_at": NOW - 3600}, "Up 1 hours"),
        ({"started_at": NOW - 200_000}, "Up 2 days"),
        ({"started_at": NOW + 5}, "Up 0 seconds"),
        ({"health": "starting"}, "Up 1 mins (health: starting)"),
        ({"status": "Creating", "task_state": "image_pulling", "progress": "Pulling"}, "Pulling"),
        ({"progress": "Pulling"}, "Up 1 mins"),
        ({"health": "healthy"}, "Up 1 mins (healthy)"),
        ({"health": "unhealthy"}, "Up 1 mins (unhealthy)"),
        ({"health": "healthy", "status": "Paused"}, "Up 1 mins (paused)"),
        ({"health": "healthy", "status": "Created"}, "Created"),
        ({"started_at": None}, None),
        ({"status": "Paused"}, "Up 1 mins (paused)"),
        ({"status": "Stopped", "exit_code": 137, "finished_at": NOW - 3},
         "Exited(137) 3 seconds ago"),
        ({"status": "Stopped", "exit_code": 0, "finished_at": NOW - 300}, "Exited(0) 5 mins ago"),
        ({"status": "Stopped"}, None),
        ({"status": "Error", "exit_code": 1, "finished_at": NOW - 3},
         "Exited(1) 3 seconds ago (error)"),
        ({"status": "Error"}, None),
        ({"status": "Restarting"}, "Restarting"),
        ({"status": "Dead"}, "Dead"),
        ({"status": "Deleting"}, None),
    ],
)  # fmt: skip
def test_details_are_as_old_as_the_answer(values: dict[str, object], detail: str | None) -> None:
    assert view.detail(row(**values), NOW) == detail
