"""What users ask about a container, answered by its engine: one function per question."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import msgspec

from dolium import errors
from dolium.drivers.engine.base import Engine
from dolium.model.wish import Answer, Question

LOG = logging.getLogger(__name__)


def answer(engine: Engine, name: str | None, question: Question) -> Answer:
    """The reply about the engine's container of that name."""

    def value() -> Any:
        seen = engine.look(name) if name else None
        if seen is None:
            raise errors.Absent(what=f"Container {question.uuid}")
        ask = QUESTIONS.get(question.what)
        if ask is None:
            raise errors.NotOffered(driver=engine.name, what=question.what)
        return ask(engine, seen.handle, question.params)

    return reply(question, value)


def reply(question: Question, value: Callable[[], Any]) -> Answer:
    """The answer; errors are answers too."""
    try:
        return Answer(value=value())
    except errors.Error as error:
        return Answer(code=error.code, facts=error.facts)
    except Exception:
        LOG.exception("question %s about %s: a bug", question.what, question.uuid)
        return Answer(code=errors.Error.code)


def logs(engine: Engine, handle: str, params: dict[str, Any]) -> str:
    """{stdout, stderr, timestamps, tail, since}: the output so far."""
    since = params.get("since")
    output = engine.logs(
        handle,
        stdout=params.get("stdout", True),
        stderr=params.get("stderr", True),
        timestamps=params.get("timestamps", False),
        tail=str(params.get("tail") or "all"),
        since=None if since is None else int(since),
    )
    return output.decode(errors="replace")


def execute(engine: Engine, handle: str, params: dict[str, Any]) -> dict[str, Any]:
    """{argv, timeout}: both outputs together, and the exit code."""
    done = engine.execute(handle, params["argv"], params["timeout"])
    return {"output": done.output.decode(errors="replace"), "exit_code": done.exit_code}


def resize(engine: Engine, handle: str, params: dict[str, Any]) -> None:
    """{height, width}: of the container's terminal."""
    engine.resize(handle, params["height"], params["width"])


def exec_create(engine: Engine, handle: str, params: dict[str, Any]) -> str:
    """{argv}: the id of a command that runs when its console is opened."""
    return engine.exec_create(handle, params["argv"])


def exec_resize(engine: Engine, handle: str, params: dict[str, Any]) -> None:
    """{exec_id, height, width}: of that command's terminal."""
    engine.exec_resize(handle, params["exec_id"], params["height"], params["width"])


def top(engine: Engine, handle: str, params: dict[str, Any]) -> dict[str, Any]:
    """{ps_args}: titles and processes."""
    return dict(engine.top(handle, params.get("ps_args")))


def stats(engine: Engine, handle: str, params: dict[str, Any]) -> dict[str, Any]:
    """{}: a Usage as it is."""
    return msgspec.structs.asdict(engine.stats(handle))


def get_archive(engine: Engine, handle: str, params: dict[str, Any]) -> dict[str, Any]:
    """{path, most}: a tar of it in base 64, and what it is."""
    found = engine.get_archive(handle, params["path"], params["most"])
    return {"data": b64encode(found.data).decode(), "stat": msgspec.to_builtins(found.stat)}


def put_archive(engine: Engine, handle: str, params: dict[str, Any]) -> None:
    """{path, data}: a tar in base 64, unpacked there."""
    engine.put_archive(handle, params["path"], b64decode(params["data"]))


QUESTIONS: dict[str, Callable[[Engine, str, dict[str, Any]], Any]] = {
    "logs": logs,
    "execute": execute,
    "resize": resize,
    "exec_create": exec_create,
    "exec_resize": exec_resize,
    "top": top,
    "stats": stats,
    "get_archive": get_archive,
    "put_archive": put_archive,
}
"""One row per question."""
