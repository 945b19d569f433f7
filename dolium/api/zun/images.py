"""Images of hosts, for administrators, and what registries have, for everybody."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, paging, shapes
from dolium.api.call import Answer, Call
from dolium.api.forms import Form
from dolium.api.route import Route
from dolium.model.image import Image, is_name, reserved

SORTS = frozenset(
    [
        *("id", "uuid", "host", "repo", "tag", "project_id", "image_id", "size"),
        *("created_at", "updated_at"),
    ]
)


PAGE = paging.form(SORTS, others=None)


def _repo(value: str) -> str:
    if not is_name(value) or reserved(value):
        raise fields.Wrong(f"{value!r} is not the name of an image")
    return value


_anything = fields.text(most=255)
_PULL: dict[str, fields.Check] = {
    "repo": fields.text(2, 255, null=False).then(_repo),
    "host": fields.text(1, 255, r"[a-zA-Z0-9._-]*", null=False),
    # What the host tells is what counts.
    "image_id": _anything,
    "tag": _anything,
    "size": _anything,
    "image_pull_policy": _anything,
}

PULL = Form(checks=_PULL, required=("repo", "host"))
SEARCH = Form(
    checks={
        "image_driver": fields.choice("docker", "glance", "None"),
        "exact_match": fields.toggle,
    },
    refusal=errors.InvalidQuery,
    others=errors.UnknownParameter,
)

_encode = msgspec.json.encode


def pull(call: Call) -> Answer:
    """`POST /v1/images`."""
    given = call.given
    image = call.service.images.pull(call.context, given["host"], given["repo"])
    location = f"{call.prefix}/v1/images/{image.uuid}"
    return Answer(202, _encode(_one(call, image)), location)


def list_(call: Call) -> Answer:
    """`GET /v1/images`; unknown parameters are ignored."""
    query = paging.query(call)
    found = call.service.images.list(query)
    more = paging.following(call, "/v1/images", query, [image.uuid for image in found])
    return Answer(200, _encode({"images": [_one(call, image) for image in found], "next": more}))


def show(call: Call) -> Answer:
    """`GET /v1/images/{image}`."""
    return Answer(200, _encode(_one(call, _found(call))))


def delete(call: Call) -> Answer:
    """`DELETE /v1/images/{image}`."""
    call.service.images.delete(_found(call))
    return Answer(200, b"null")


def search(call: Call) -> Answer:
    """`GET /v1/images/{image}/search?image_driver=&exact_match=`."""
    name = fields.one("image", call.path["image"], fields.text(2, 255))
    find = _in_glance if call.asked.get("image_driver") == "glance" else _in_registry
    return Answer(200, _encode(find(call, name, exact=call.asked.get("exact_match", False))))


def _in_registry(call: Call, name: str, *, exact: bool) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "description": each.description,
            "metadata": {"is_official": each.is_official, "star_count": each.star_count},
        }
        for each in call.service.images.search(name, exact=exact)
    ]


def _in_glance(call: Call, name: str, *, exact: bool) -> list[dict[str, Any]]:
    return [
        msgspec.to_builtins(image)
        for image in call.service.glance.search(call.token, name, exact=exact)
    ]


def _found(call: Call) -> Image:
    return call.service.images.find(fields.one("image", call.path["image"], fields.text(1, 255)))


def _one(call: Call, image: Image) -> dict[str, Any]:
    path = f"images/{image.uuid}"
    return {
        "uuid": image.uuid,
        "links": [
            {"href": f"{call.prefix}/v1/{path}", "rel": "self"},
            {"href": f"{call.prefix}/{path}", "rel": "bookmark"},
        ],
        "image_id": image.image_id,
        "project_id": image.project_id,
        "repo": image.repo,
        "tag": image.tag,
        "size": None if image.size is None else str(image.size),
        "host": image.host,
        "status_reason": image.reason,
    }


_IMAGE = "/v1/images/{image}"

ROUTES = (
    Route("POST", "/v1/images", pull, "image:pull", body=PULL, told=shapes.Image, status=202),
    Route("GET", "/v1/images", list_, "image:get_all", query=PAGE, told=shapes.Images),
    Route("GET", _IMAGE, show, "image:get_one", told=shapes.Image),
    Route("DELETE", _IMAGE, delete, "image:delete"),
    Route("GET", f"{_IMAGE}/search", search, "image:search", query=SEARCH, told=list[shapes.Found]),
)
