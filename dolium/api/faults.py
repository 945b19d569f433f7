"""Errors as HTTP: the only place that knows error bodies.

Inside Dolium errors have codes of their own; here they get the names of the container API.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from dolium import errors
from dolium.api import versions

if TYPE_CHECKING:
    import falcon

LOG = logging.getLogger(__name__)

NAMES: dict[type[errors.Error], str] = {
    errors.Invalid: "schema-validation-error",
    errors.InvalidDriver: "validation-error",
    errors.Missing: "schema-validation-error",
    errors.Malformed: "schema-validation-error",
    errors.Unexpected: "schema-validation-error",
    errors.InvalidValue: "invalid-value",
    errors.InvalidParameter: "invalid-parameter-value",
    errors.UnknownParameter: "invalid-value",
    errors.InvalidBase64: "base64-exception",
    errors.TooNew: "invalid-param-in-version",
    errors.WrongMedia: "unsupported-media-type",
    errors.TooLarge: "request-entity-too-large",
    errors.NotInVersion: "",
    errors.NotYet: "operation-not-supported",
    errors.Forbidden: "policy-not-authorized",
    errors.OverQuota: "over-quota",
    errors.NotFound: "resource-not-found",
    errors.Ambiguous: "conflict",
    errors.WrongState: "invalid-state-exception",
    errors.Conflict: "conflict",
    errors.Exists: "image-already-exists",
    errors.Changed: "conflict",
    errors.Forgotten: "changes-forgotten",
    errors.Crowded: "service-unavailable",
    errors.NoHost: "no-valid-host",
    errors.HostDown: "container-host-not-up",
    errors.NotAttached: "invalid",
    errors.Attached: "invalid",
    errors.GroupStays: "security-group-cannot-be-removed",
    errors.DriverError: "docker-error",
    errors.Unanswered: "service-unavailable",
    errors.ImageMissing: "image-not-found",
    errors.Absent: "container-not-found",
    errors.NoPath: "resource-not-found",
    errors.Oversized: "invalid-value",
    errors.Refused: "conflict",
    errors.NoConsole: "invalid",
    errors.NotInteractive: "no-interactive-flag",
    errors.NotOffered: "operation-not-supported",
    errors.TimedOut: "conflict",
    errors.Shutdown: "service-unavailable",
    errors.Unreadable: "service-unavailable",
}
"""What follows `container.` in `code`; a class not listed has its nearest base's."""

KINDS = {
    "Container": "container-not-found",
    "Capsule": "capsule-not-found",
    "Network": "network-not-found",
    "Neutron network": "network-not-found",
    "Neutron port": "port-not-found",
    "Registry": "registry-not-found",
    "Requested host": "requested-host-not-found",
    "Compute node": "compute-node-not-found",
    "Service": "zun-service-not-found",
}
"""The same for NotFound, by the kind of what is not there."""

_HELP = "https://docs.openstack.org/api-guide/compute/microversions.html"
_encode = msgspec.json.encode


def name(error: errors.Error) -> str:
    """The container API's name of an error."""
    if isinstance(error, errors.NotFound):
        return KINDS.get(error.facts["kind"], NAMES[errors.NotFound])
    for kind in type(error).__mro__:
        if kind in NAMES:
            return NAMES[kind]
    return ""


def body(status: int, code: str, title: str, request_id: str, **more: Any) -> bytes:
    """An error as every client of the container API reads it."""
    told = {
        "request_id": request_id,
        "code": code,
        "status": status,
        "title": title,
        "detail": title,
        "links": [],
    }
    return _encode({"errors": [told | more]})


def refuse(
    request: falcon.Request, response: falcon.Response, error: errors.Error, _params: Any
) -> None:
    """Answer an expected error."""
    # No Retry-After: python-zunclient fails on one beside a 503, and prints no reason.
    response.status = error.status
    if isinstance(error, errors.Unauthorized):
        response.set_header("WWW-Authenticate", error.facts["challenge"])
        response.data = _encode(
            {"error": {"code": 401, "title": "Unauthorized", "message": str(error)}}
        )
    elif isinstance(error, errors.WrongVersion):
        response.data = _unspoken(error, request.context.id)
    else:
        code = f"container.{name(error)}"
        response.data = body(error.status, code, str(error), request.context.id)
    if error.status >= 500:
        LOG.warning("%s: %s", error.code, error)


def _unspoken(error: errors.WrongVersion, request_id: str) -> bytes:
    return body(
        error.status,
        "zun.microversion-unsupported",
        "Requested microversion is unsupported",
        request_id,
        detail=str(error),
        max_version=versions.named(versions.HIGH),
        min_version=versions.named(versions.LOW),
        links=[{"rel": "help", "href": _HELP}],
    )


def unrouted(
    request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _params: Any
) -> None:
    """Answer what the router refuses: unknown paths, wrong verbs, broken requests."""
    response.status = error.status
    response.set_headers(error.headers or {})
    # What the Zun of old leaves empty; clients print it.
    title = HTTPStatus(error.status_code).phrase
    response.data = body(error.status_code, "container.", title, request.context.id)


def surprise(
    request: falcon.Request, response: falcon.Response, error: Exception, _params: Any
) -> None:
    """Answer a bug: the log gets the traceback, the user the id to find it by."""
    asked, path, request_id = request.method, request.path, request.context.id
    LOG.error("%s %s failed", asked, path, exc_info=error)
    response.status = 500
    detail = (
        "Your request could not be handled because of a problem in the server. "
        f"Error Correlation id is: {request_id}"
    )
    response.data = body(500, "container.", "Internal Server Error", request_id, detail=detail)
