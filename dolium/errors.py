"""Every error of Dolium: its HTTP status, its stable code and whether to ask again.

Class attributes decide, instances only carry named facts. An error crosses the link as
code + facts and comes back as the same class. Only `api/faults.py` knows HTTP bodies.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Error(Exception):
    """The base of all expected errors; anything else is a bug and is logged with a traceback."""

    status: ClassVar[int] = 500
    """HTTP status a user sees."""
    code: ClassVar[str] = "dolium.error"
    """Stable name; never changes once released."""
    retry: ClassVar[float | None] = None
    """Seconds until asking again makes sense; None: asking again gives the same answer."""
    text: ClassVar[str] = "Unexpected error"
    """Format string over the facts."""

    by_code: ClassVar[dict[str, type[Error]]] = {}

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.text.format(**facts))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Error.by_code.setdefault(cls.code, cls)


def revive(code: str, facts: dict[str, Any]) -> Error:
    """The error that another role raised, from what it wrote on the link."""
    return Error.by_code.get(code, Error)(**facts)


# --- bad input -----------------------------------------------------------------------------


class Invalid(Error):
    """A request that can't mean anything; `field` names what to correct."""

    status, code = 400, "dolium.invalid"
    text = "Invalid input for field '{field}'. {why}"


class InvalidQuery(Invalid):
    """The same of a parameter that can only be in the query string."""

    code = "dolium.invalid_query"
    text = "Invalid input for query parameters '{field}'. {why}"


class InvalidDriver(Invalid):
    """The same of the name of a driver."""

    code = "dolium.invalid_driver"


class Missing(Error):
    """A field nobody can guess."""

    status, code, text = 400, "dolium.missing", "'{field}' is a required property"


class Unexpected(Error):
    """Fields nobody knows, or that this microversion does not have."""

    status, code = 400, "dolium.unexpected"
    text = "Additional properties are not allowed ({fields} was unexpected)"


class Malformed(Error):
    """A body that can't be read at all."""

    status, code, text = 400, "dolium.malformed", "The body {why}"


class InvalidValue(Error):
    """A value that is well formed and still impossible."""

    status, code, text = 400, "dolium.invalid_value", "{why}"


class InvalidParameter(Error):
    """A parameter of a list that can't be used."""

    status, code, text = 400, "dolium.invalid_parameter", "{why}"


class UnknownParameter(Error):
    """A query parameter nobody knows."""

    status, code, text = 400, "dolium.unknown_parameter", "Unknown parameters: {names}"


class InvalidBase64(Error):
    """A field that is to be in base 64 and is not."""

    status, code = 400, "dolium.invalid_base64"
    text = "Invalid Base 64 file data in field '{field}'"


class TooNew(Error):
    """A parameter that this request's microversion does not have yet."""

    status, code = 400, "dolium.too_new"
    text = (
        "Invalid param {param} because current request version is {version}. "
        "{param} is only supported from version {since}"
    )


class WrongMedia(Error):
    """A body that is not JSON."""

    status, code, text = 415, "dolium.wrong_media", "Content-Type must be application/json"


class TooLarge(Error):
    """A body nobody needs that large."""

    status, code, text = 413, "dolium.too_large", "The body is larger than {most} bytes"


class WrongVersion(Error):
    """A microversion Dolium does not speak, or an endpoint this microversion does not have."""

    status, code = 406, "dolium.wrong_version"
    text = "Version {version} is not supported. Minimum is {low} and maximum is {high}"


class NotInVersion(Error):
    """An endpoint that this microversion does not have."""

    status, code = 406, "dolium.not_in_version"
    text = "Version {version} does not have this; versions {since} to {until} do"


class NotYet(Error):
    """Part of the API, but not built yet."""

    status, code, text = 501, "dolium.not_yet", "{what} is not available yet"


# --- who may ---------------------------------------------------------------------------------


class Unauthorized(Error):
    """No token, or one that Keystone does not accept; `challenge` tells where to get one."""

    status, code = 401, "dolium.unauthorized"
    text = "The request you have made requires authentication."


class Forbidden(Error):
    """The policy says no."""

    status, code = 403, "dolium.forbidden"
    text = "Policy doesn't allow {rule} to be performed."


class OverQuota(Error):
    """The project's limit is reached."""

    status, code, text = 403, "dolium.over_quota", "Quota exceeded for resources: {resources}"


class BadToken(Error):
    """Whoever comes to a console has no right to it; nothing says why, as little is known."""

    status, code = 401, "dolium.bad_token"
    text = "The token of this console is unknown, was used before or has expired"


class BadOrigin(Error):
    """A page of another site wants to open a console in its visitor's name."""

    status, code, text = 403, "dolium.bad_origin", "Consoles are not open to pages of {origin}"


# --- finding and changing --------------------------------------------------------------------


class NotFound(Error):
    """Nothing of this kind bears this name or id, as far as the caller may see."""

    status, code, text = 404, "dolium.not_found", "{kind} {id} could not be found."


class Ambiguous(Error):
    """Several things bear the name; the id says which is meant."""

    status, code = 409, "dolium.ambiguous"
    text = "Multiple {kind}s exist with same name '{id}'. Please use the uuid instead."


class WrongState(Error):
    """The container's status does not allow the action."""

    status, code = 409, "dolium.wrong_state"
    text = "Cannot {verb} container {id} in {state} state"


class NotInteractive(Error):
    """Nobody can attach to a container whose input was never opened."""

    status, code = 400, "dolium.not_interactive"
    text = "Container doesn't support to be attached, please check the interactive set properly"


class Conflict(Error):
    """The request contradicts what exists."""

    status, code, text = 409, "dolium.conflict", "{why}"


class Exists(Error):
    """There is one of that name already."""

    status, code, text = 409, "dolium.exists", "{kind} {id} already exists."


class Changed(Error):
    """Somebody else wrote the row meanwhile: read again."""

    status, code, retry = 409, "dolium.changed", 0.0
    text = "{kind} {id} was changed meanwhile"


class Forgotten(Error):
    """Changes since then are not remembered any more: read everything again."""

    status, code = 410, "dolium.forgotten"
    text = "Changes after revision {since} are forgotten: list everything, then watch from {now} on"


class Crowded(Error):
    """As many of these are open as this process has room for."""

    status, code, retry = 503, "dolium.crowded", 5.0
    text = "All {most} {what} of this process are taken"


# --- placing and hosts -----------------------------------------------------------------------


class NoHost(Error):
    """No host fits; `why` says what removed how many hosts."""

    status, code, retry = 409, "dolium.no_host", 5.0
    text = "There are not enough hosts available: {why}"


class HostDown(Error):
    """The host that would know does not answer."""

    status, code, retry = 503, "dolium.host_down", 5.0
    text = "Host {host} does not answer"


# --- networks --------------------------------------------------------------------------------


class NotAttached(Error):
    """The container is not on that network."""

    status, code = 400, "dolium.not_attached"
    text = "Network '{network}' is not attached to container '{container}'."


class Attached(Error):
    """The container is on that network already."""

    status, code = 400, "dolium.attached"
    text = "Network '{network}' is already connected to container '{container}'."


class GroupStays(Error):
    """A security group that can't be taken from a container."""

    status, code = 400, "dolium.group_stays"
    text = "Security group {group} can't be removed: every container has it."


# --- the link --------------------------------------------------------------------------------


class Untrusted(Error):
    """The other end's certificate does not allow that, or is none that counts."""

    status, code, text = 403, "dolium.untrusted", "{why}"


# --- drivers ---------------------------------------------------------------------------------


class DriverError(Error):
    """A driver's outside thing refused definitely; doing the same again fails again."""

    code, text = "dolium.driver", "{why}"


class Unanswered(DriverError):
    """Unknown outcome: time-out, lost connection, neighbour down. Look again before repeating."""

    status, code, retry = 503, "dolium.unanswered", 2.0
    text = "{what} does not answer: {why}"


class Full(DriverError):
    """No space left at the neighbour; heals when somebody makes room."""

    status, code, retry = 507, "dolium.full", 15.0
    text = "{what} has no space left: {why}"


class ImageMissing(DriverError):
    """No registry and no host has the image."""

    status, code = 400, "dolium.image_missing"
    text = "Image {image} could not be found: {why}"


class Absent(DriverError):
    """The engine has no such thing."""

    status, code, text = 404, "dolium.absent", "{what} is not there"


class NoPath(DriverError):
    """The container has no such file or folder."""

    status, code, text = 404, "dolium.no_path", "Path {path} could not be found in the container"


class Oversized(DriverError):
    """More than one answer carries."""

    status, code, text = 400, "dolium.oversized", "{what} is larger than {most} bytes"


class Refused(DriverError):
    """The engine understood and will not do it (bad command, bad option, wrong state)."""

    status, code, text = 409, "dolium.refused", "{why}"


class Taken(DriverError):
    """Somebody else does it just now, or has done it: look again."""

    status, code, retry, text = 409, "dolium.taken", 2.0, "{why}"


class NoConsole(DriverError):
    """A terminal that is not there, or a command that does not run in one."""

    status, code, text = 400, "dolium.no_console", "{why}"


class Unwired(DriverError):
    """The engine's container is on a network that the engine has forgotten meanwhile: join it
    anew, then start it.
    """

    status, code, text = 409, "dolium.unwired", "{why}"


class NotOffered(DriverError):
    """The driver lacks the capability."""

    status, code, text = 409, "dolium.not_offered", "{driver} does not offer {what}"


class TimedOut(DriverError):
    """A question that has a limit of time took longer."""

    status, code, text = 409, "dolium.timed_out", "Timeout on {what}"


# --- the service itself ----------------------------------------------------------------------


class StartError(Error):
    """Dolium can't start; the text is the one clear sentence a user sees."""

    code, text = "dolium.start", "{why}"


class Unreadable(Error):
    """A secret was sealed with a key that this process does not have."""

    status, code = 503, "dolium.unreadable"
    text = "A password can't be read: {where} has not the key that it was sealed with"


class Shutdown(Error):
    """The service is stopping; the work goes on after the next start."""

    status, code, retry = 503, "dolium.shutdown", 1.0
    text = "The service is shutting down"
