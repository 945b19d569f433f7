"""Images of hosts, for administrators, and what registries have, for everybody."""

from __future__ import annotations

from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, paging
from dolium.api.call import Answer, Call
from dolium.model.image import Image, is_name, reserved

SORTS = frozenset(
    [
        *("id", "uuid", "host", "repo", "tag", "project_id", "image_id", "size"),
        *("created_at", "updated_at"),
    ]
)


def _repo(value: Any) -> Any:
    checked = fields.text(2, 255, null=False)(value)
    if not is_name(checked) or reserved(checked):
        raise fields.Wrong(f"{value!r} is not the name of an image")
    return checked


_anything = fields.text(most=255)
_PULL: dict[str, fields.Check] = {
    "repo": _repo,
    "host": fields.text(1, 255, r"[a-zA-Z0-9-._]*", null=False),
    # What the host tells is what counts.
    "image_id": _anything,
    "tag": _anything,
    "size": _anything,
    "image_pull_policy": _anything,
}
_SEARCH: dict[str, fields.Check] = {
    "image_driver": fields.choice("docker", "glance", "None"),
    "exact_match": fields.toggle,
}

_encode = msgspec.json.encode


def pull(call: Call) -> Answer:
    """`POST /v1/images`."""
    given = fields.read(call.new(), _PULL, required=["repo", "host"])
    image = call.service.images.pull(call.context, given["host"], given["repo"])
    location = f"{call.prefix}/v1/images/{image.uuid}"
    return Answer(202, _encode(_one(call, image)), location)


def list_(call: Call) -> Answer:
    """`GET /v1/images`; unknown parameters are ignored."""
    query = paging.read(call, call.query(), SORTS)
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
    given = call.query()
    unknown = given.keys() - _SEARCH.keys()
    if unknown:
        raise errors.UnknownParameter(names=", ".join(sorted(unknown)))
    asked = {
        name: fields.one(name, value, _SEARCH[name], errors.InvalidQuery)
        for name, value in given.items()
    }
    name = fields.one("image", call.path["image"], fields.text(2, 255))
    find = _in_glance if asked.get("image_driver") == "glance" else _in_registry
    return Answer(200, _encode(find(call, name, exact=asked.get("exact_match", False))))


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
