"""What can be asked of one container: start, stop, execute, and so on."""

from __future__ import annotations

import re
import signal
from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields, shapes
from dolium.api.call import ACCEPTED, Answer, Call
from dolium.api.fields import Check, Wrong
from dolium.api.forms import NOTHING, Form
from dolium.api.route import CONTAINER, Route
from dolium.api.zun.container_spec import IMAGE, IMAGE_DRIVER, NAME, change, changes
from dolium.api.zun.containers import shown
from dolium.model import reading
from dolium.model.container import ASKS, QUESTIONS, Shown, Verb, check
from dolium.model.image import Source

LONGEST_STOP_S = 3600
"""How long a stop may wait at most: a host does only so much at once."""

_COMMIT = {"repository": fields.text(1, 255, null=False), "tag": fields.text(1, 128)}
_NO_DRIVER = errors.InvalidDriver

_encode = msgspec.json.encode


def start(call: Call) -> Answer:
    """`POST start`."""
    return _ask(call, Verb.START)


def stop(call: Call) -> Answer:
    """`POST stop?timeout=`, seconds until it is killed."""
    return _ask(call, Verb.STOP)


def reboot(call: Call) -> Answer:
    """`POST reboot?timeout=`."""
    return _ask(call, Verb.REBOOT)


def pause(call: Call) -> Answer:
    """`POST pause`."""
    return _ask(call, Verb.PAUSE)


def unpause(call: Call) -> Answer:
    """`POST unpause`."""
    return _ask(call, Verb.UNPAUSE)


def kill(call: Call) -> Answer:
    """`POST kill?signal=`; none is SIGKILL."""
    return _ask(call, Verb.KILL)


def _ask(call: Call, verb: Verb) -> Answer:
    params = {name: value for name, value in call.given.items() if value is not None}
    call.service.containers.ask(call.context, call.row, verb, params)
    return ACCEPTED


def rebuild(call: Call) -> Answer:
    """`POST rebuild?image=&image_driver=`: makes it anew, on the addresses it has."""
    given = call.given
    source = _source(call, given.get("image"), given.get("image_driver"))
    call.service.containers.rebuild(call.context, call.row, source)
    return ACCEPTED


def _source(call: Call, image: str | None, driver: str | None) -> Source | None:
    """Where the image comes from now; None: from where it came."""
    if image is None and driver is None:
        return None
    present = reading.read(call.row.shown, Shown)
    image, driver = image or present.image, driver or present.image_driver
    if driver != "glance":
        return Source(image=image, driver=driver)
    pin = call.service.glance.pin(call.token, image, errors.InvalidDriver)
    return Source(image=image, driver=driver, pin=pin)


def rename(call: Call) -> Answer:
    """`POST rename?name=`, until 1.13; PATCH does it ever since."""
    name = call.given["name"]
    if name == call.row.name:
        raise errors.Conflict(why="The new name for the container is the same as the old name.")
    return shown(call, call.service.containers.patch(call.context, call.row, name=name), 200)


def resize_container(call: Call) -> Answer:
    """`POST resize_container?cpu=&memory=&name=&auto_heal=`: `PATCH`, answered as it was before."""
    row = call.row
    check("resize_container", ASKS[Verb.UPDATE].allowed, row.uuid, row.status)
    call.service.containers.patch(call.context, row, **changes(call.given))
    return shown(call, row, 202)


def commit(call: Call) -> Answer:
    """`POST commit?repository=&tag=`: it becomes an image of Glance, whose id is told."""
    row, repository, tag = call.row, call.given["repository"], call.given.get("tag") or "latest"
    check("commit", ASKS[Verb.COMMIT].allowed, row.uuid, row.status)
    image_id = call.service.commits.commit(call.context, call.token, row, repository, tag)
    return Answer(202, _encode({"uuid": image_id}))


def execute(call: Call) -> Answer:
    """`POST execute?command=&run=&interactive=`: runs it to its end, tells output and exit code.

    With `interactive=True&run=False` it is left to whoever comes to the address that is told.
    """
    given = call.given
    _may(call, "execute")
    if not given.get("run", True):
        if not given.get("interactive"):
            why = "Only an interactive command can wait for its console."
            raise errors.Invalid(field="run", why=why)
        return Answer(200, _encode(call.service.consoles.execute(call.row, given["command"])))
    done = call.service.questions.execute(call.context, call.row, given["command"])
    return Answer(200, _encode(done))


def top(call: Call) -> Answer:
    """`GET top?ps_args=`."""
    _may(call, "top")
    ps_args = call.given.get("ps_args")
    return Answer(200, _encode(call.service.questions.top(call.context, call.row, ps_args)))


def stats(call: Call) -> Answer:
    """`GET stats`."""
    _may(call, "stats")
    return Answer(200, _encode(call.service.questions.stats(call.context, call.row)))


def _may(call: Call, what: str) -> None:
    check(what, QUESTIONS[what], call.row.uuid, call.row.status)


def _signal(value: Any) -> str | None:
    if value in (None, "None"):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        if re.fullmatch("[0-9]{1,3}", value, re.ASCII):
            if int(value) in signal.valid_signals():
                return str(signal.Signals(int(value)).name)
        elif value in (value.upper(), value.lower()):
            name = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
            if name in signal.Signals.__members__:
                return name
    raise Wrong(f"{value!r} is not the name or number of a signal")


SIGNAL = Check(_signal, {"type": ["string", "integer", "null"]})
"""A signal by any of its names or its number; means `SIGTERM`."""


def _none(check: Check, *words: str) -> Check:
    """The same, where words for nothing mean nothing."""
    schema = {"anyOf": [{"enum": [None, *words]}, check.schema]}
    return Check(lambda value: None if value in (None, *words) else check(value), schema)


WAIT = Form(checks={"timeout": fields.whole(0, LONGEST_STOP_S)})
KILL = Form(checks={"signal": SIGNAL})
REBUILD = Form(
    checks={
        "image": _none(IMAGE, "None"),
        "image_driver": _none(
            fields.named("image_driver", IMAGE_DRIVER, errors.InvalidDriver), "None"
        ),
    }
)
RENAME = Form(checks={"name": NAME}, required=("name",))
COMMIT = Form(
    checks={"repository": fields.text(1, 255, null=False), "tag": fields.text(1, 128)},
    required=("repository",),
)
EXECUTE = Form(
    checks={
        "command": fields.text(1, null=False),
        **dict.fromkeys(("run", "interactive"), fields.toggle),
    },
    required=("command",),
)
TOP = Form(checks={"ps_args": _none(fields.text(1, 255, r"[a-zA-Z0-9 ,+=:_-]*"), "None", "")})


ROUTES = (
    Route("POST", f"{CONTAINER}/start", start, "container:start", params=NOTHING, status=202),
    Route("POST", f"{CONTAINER}/stop", stop, "container:stop", params=WAIT, status=202),
    Route("POST", f"{CONTAINER}/reboot", reboot, "container:reboot", params=WAIT, status=202),
    Route("POST", f"{CONTAINER}/rebuild", rebuild, "container:rebuild", params=REBUILD, status=202),
    Route("POST", f"{CONTAINER}/pause", pause, "container:pause", params=NOTHING, status=202),
    Route("POST", f"{CONTAINER}/unpause", unpause, "container:unpause", params=NOTHING, status=202),
    Route("POST", f"{CONTAINER}/kill", kill, "container:kill", params=KILL, status=202),
    Route(
        "POST",
        f"{CONTAINER}/rename",
        rename,
        "container:rename",
        until=13,
        params=RENAME,
        told=shapes.Container,
    ),
    Route(
        "POST",
        f"{CONTAINER}/resize_container",
        resize_container,
        "container:resize_container",
        since=19,
        params=change,
        told=shapes.Container,
        status=202,
    ),
    Route(
        "POST",
        f"{CONTAINER}/commit",
        commit,
        "container:commit",
        params=COMMIT,
        told=shapes.Made,
        status=202,
    ),
    Route(
        "POST",
        f"{CONTAINER}/execute",
        execute,
        "container:execute",
        params=EXECUTE,
        told=shapes.Done,
    ),
    Route("GET", f"{CONTAINER}/top", top, "container:top", params=TOP, told=shapes.Processes),
    Route("GET", f"{CONTAINER}/stats", stats, "container:stats", params=NOTHING, told=shapes.Stats),
)
