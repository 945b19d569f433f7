"""What can be asked of one container: start, stop, logs, execute, and so on."""

from __future__ import annotations

import re
import signal
from datetime import UTC, datetime
from typing import Any

import msgspec

from dolium import errors
from dolium.api import fields
from dolium.api.call import ACCEPTED, Answer, Call
from dolium.api.fields import Check, Wrong, read
from dolium.api.zun.container_spec import IMAGE_DRIVER, NAME, image
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
    return _ask(call, Verb.START, {})


def stop(call: Call) -> Answer:
    """`POST stop?timeout=`, seconds until it is killed."""
    return _ask(call, Verb.STOP, {"timeout": fields.whole(0, LONGEST_STOP_S)})


def reboot(call: Call) -> Answer:
    """`POST reboot?timeout=`."""
    return _ask(call, Verb.REBOOT, {"timeout": fields.whole(0, LONGEST_STOP_S)})


def pause(call: Call) -> Answer:
    """`POST pause`."""
    return _ask(call, Verb.PAUSE, {})


def unpause(call: Call) -> Answer:
    """`POST unpause`."""
    return _ask(call, Verb.UNPAUSE, {})


def kill(call: Call) -> Answer:
    """`POST kill?signal=`; none is SIGKILL."""
    return _ask(call, Verb.KILL, {"signal": signal_})


def _ask(call: Call, verb: Verb, checks: dict[str, Check]) -> Answer:
    given = read(call.params(), checks)
    params = {name: value for name, value in given.items() if value is not None}
    call.service.containers.ask(call.context, call.row, verb, params)
    return ACCEPTED


def rebuild(call: Call) -> Answer:
    """`POST rebuild?image=&image_driver=`: makes it anew, on the addresses it has."""
    given = read(call.params(), _REBUILD)
    driver = fields.one("image_driver", given.get("image_driver"), IMAGE_DRIVER, _NO_DRIVER)
    source = _source(call, given.get("image"), None if driver == "None" else driver)
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
    pin = call.service.glance.pin(call.token, image, _NO_DRIVER)
    return Source(image=image, driver=driver, pin=pin)


def rename(call: Call) -> Answer:
    """`POST rename?name=`, until 1.13; PATCH does it ever since."""
    name = read(call.params(), {"name": NAME}, required=["name"])["name"]
    if name == call.row.name:
        raise errors.Conflict(why="The new name for the container is the same as the old name.")
    return shown(call, call.service.containers.patch(call.context, call.row, name=name), 200)


def resize_container(call: Call) -> Answer:
    """`POST resize_container?cpu=&memory=&name=&auto_heal=`: `PATCH`, answered as it was before."""
    changed = call.service.body.patch(call.params())
    row = call.row
    check("resize_container", ASKS[Verb.UPDATE].allowed, row.uuid, row.status)
    call.service.containers.patch(call.context, row, **changed)
    return shown(call, row, 202)


def commit(call: Call) -> Answer:
    """`POST commit?repository=&tag=`: it becomes an image of Glance, whose id is told."""
    given = read(call.params(), _COMMIT, required=["repository"])
    row, tag = call.row, given.get("tag") or "latest"
    check("commit", ASKS[Verb.COMMIT].allowed, row.uuid, row.status)
    image_id = call.service.commits.commit(call.context, call.token, row, given["repository"], tag)
    return Answer(202, _encode({"uuid": image_id}))


def logs(call: Call) -> Answer:
    """`GET logs?stdout=&stderr=&timestamps=&tail=&since=`: a JSON string."""
    checks = dict.fromkeys(("stdout", "stderr", "timestamps"), fields.toggle)
    given = read(call.params(), checks | {"tail": tail, "since": since})
    _may(call, "logs")
    if not given.get("stdout", True) and not given.get("stderr", True):
        given |= {"stdout": True, "stderr": True}
    return Answer(200, _encode(call.service.questions.logs(call.context, call.row, **given)))


def execute(call: Call) -> Answer:
    """`POST execute?command=`: runs it to its end and tells output and exit code.

    With `interactive=True&run=False` it is left to whoever comes to the address that is told.
    """
    checks = {
        "command": fields.text(1, null=False),
        "run": fields.toggle,
        "interactive": fields.toggle,
    }
    given = read(call.params(), checks, required=["command"])
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
    ps_args = read(call.params(), {"ps_args": _ps_args}).get("ps_args")
    _may(call, "top")
    return Answer(200, _encode(call.service.questions.top(call.context, call.row, ps_args)))


def stats(call: Call) -> Answer:
    """`GET stats`."""
    read(call.params(), {})
    _may(call, "stats")
    return Answer(200, _encode(call.service.questions.stats(call.context, call.row)))


def _may(call: Call, what: str) -> None:
    check(what, QUESTIONS[what], call.row.uuid, call.row.status)


def signal_(value: Any) -> str | None:
    """A signal by any of its names or its number; returns `SIGTERM`."""
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


def tail(value: Any) -> str:
    """A number of lines from the end; all else is `all`."""
    text = str(value)
    return text if re.fullmatch("[0-9]{1,9}", text, re.ASCII) else "all"


def since(value: Any) -> int | None:
    """Seconds since the epoch, or `YYYY-MM-DD HH:MM:SS,mmm` in UTC."""
    text = str(value)
    if re.fullmatch("[0-9]{1,12}", text, re.ASCII):
        return int(text)
    for form in ("%Y-%m-%d %H:%M:%S,%f", "%Y-%m-%d %H:%M:%S"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    raise Wrong(f"{text!r} is neither seconds since the epoch nor YYYY-MM-DD HH:MM:SS,mmm")


def _image(value: Any) -> str | None:
    return None if value in (None, "None") else str(image(value))


_REBUILD: dict[str, Check] = {"image": _image, "image_driver": lambda value: value}


def _ps_args(value: Any) -> str | None:
    if value in (None, "None", ""):
        return None
    return str(fields.text(1, 255, r"[a-zA-Z0-9 ,+=:_-]*")(value))
