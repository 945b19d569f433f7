"""How a story in YAML is played: one request per step, and what must come back.

    story: What it is about                  one story per YAML document
    who: alice                               whose token (see cloud.PEOPLE); a step may say another
    version: "1.40"                          microversion, likewise
    config: {quota: {containers: 2}}         options of this cloud
    steps:
    - say: what happens, for people
      POST: /v1/containers?run=true          any verb
      body: {image: cirros}                  sent as JSON; text is sent as it is
      gets: 202                              the status
      with: {name: web, cpu: 1.0}            these members of the answer, at any depth
      without: [host]                        members it must not have
      headers: {location: /containers/}      these headers contain this text
      error: [schema-validation-error, "Invalid input for field 'memory'"]
                                             code, and how the text begins
      keep: {web: uuid}                      names for members of the answer: <web> from now on;
                                             `containers.0.uuid` lies deeper
      later: {status: Running}               the host works; then a GET of the path shows this
      each: [{field: cpu}, {field: disk}]    the step is repeated; <field> is filled in

A text in `with` that is written `/like this/` is a pattern; a list must be equal, or, written
`{any: {...}}`, have such an item.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from dolium import conf
from tests.stories.cloud import ADDRESS, Cloud, Reply

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_STORY = {"story", "who", "version", "config", "steps"}
_STEP = {
    *("say", "who", "version", "body", "media", "gets", "with", "without", "is"),
    *("headers", "send", "error", "keep", "later", "each", *VERBS),
}


def stories(folder: Path) -> dict[str, dict[str, Any]]:
    """All stories by `file: title`."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        for story in yaml.safe_load_all(path.read_text()):
            assert story.keys() <= _STORY, f"{path.name}: unknown {story.keys() - _STORY}"
            found[f"{path.stem}: {story['story']}"] = story
    return found


class Telling:
    """One story under way."""

    def __init__(self, story: dict[str, Any]) -> None:
        groups = {g.name: g.type for g in msgspec.structs.fields(conf.Config)}
        config = story.get("config", {})
        self._cloud = Cloud(**{n: msgspec.convert(v, groups[n]) for n, v in config.items()})
        self._story = story
        self._names: dict[str, Any] = {}

    def tell(self) -> None:
        """Play it; an AssertionError names the step."""
        for step in self._story["steps"]:
            for names in step.get("each", [{}]):
                known = self._names | self._filled(names, self._names)
                self._step(self._filled(step, known))

    def _step(self, step: dict[str, Any]) -> None:
        assert step.keys() <= _STEP, f"unknown words {step.keys() - _STEP} in {step}"
        verb = next(verb for verb in VERBS if verb in step)
        path = step[verb]
        reply = self._call(verb, path, step)
        title = f"{step.get('say', '')} [{verb} {path}]: {reply.status} {reply.raw[:2000]!r}"
        assert reply.status == step.get("gets", 200), title
        told = reply.json if "json" in reply.headers.get("content-type", "") else reply.raw.decode()
        if "is" in step:
            assert _same(step["is"], told), title
        if "error" in step:
            self._blame(step["error"], reply, title)
        self._compare(step, told, title)
        for name, part in step.get("headers", {}).items():
            assert part in reply.headers.get(name.lower(), ""), f"{title}: {reply.headers}"
        for name, member in step.get("keep", {}).items():
            self._names[name] = (
                reply.headers[member.removeprefix("header ")]
                if member.startswith("header ")
                else _deep(told, member)
            )
        if "later" in step:
            self._cloud.host.look()
            shown = self._call(
                "GET", path.partition("?")[0], {k: step[k] for k in step if k == "who"}
            )
            assert _same(step["later"], shown.json), f"{title}, later {shown.raw[:2000]!r}"

    def _call(self, verb: str, path: str, step: dict[str, Any]) -> Reply:
        reply = self._cloud.call(
            verb,
            path.removeprefix(f"http://{ADDRESS}"),
            who=step.get("who", self._story.get("who", "alice")),
            version=step.get("version", self._story.get("version", "1.40")),
            body=step.get("body"),
            media=step.get("media", "application/json"),
            headers=step.get("send"),
        )
        assert reply.headers["x-openstack-request-id"].startswith("req-")
        return reply

    def _compare(self, step: dict[str, Any], told: Any, title: str) -> None:
        if "with" in step:
            assert _same(step["with"], told), f"{title}\nexpected {step['with']}"
        for member in step.get("without", []):
            assert member not in told, f"{title}: it has {member}"

    def _blame(self, expected: list[str], reply: Reply, title: str) -> None:
        (told,) = reply.json["errors"]
        assert told["code"] == f"container.{expected[0]}", title
        assert told["status"] == reply.status, title
        assert told["request_id"] == reply.headers["x-openstack-request-id"], title
        for text in expected[1:]:
            assert told["title"].startswith(text), f"{title}\nexpected {text}"

    def _filled(self, value: Any, names: dict[str, Any]) -> Any:
        if isinstance(value, dict):
            return {
                self._filled(k, names): self._filled(v, names)
                for k, v in value.items()
                if k != "each"
            }
        if isinstance(value, list):
            return [self._filled(item, names) for item in value]
        if not isinstance(value, str):
            return value
        whole = re.fullmatch(r"<(\w+)>", value)
        if whole and whole[1] in names:
            return names[whole[1]]
        return re.sub(r"<(\w+)>", lambda m: str(names.get(m[1], m[0])), value)


def _deep(told: Any, path: str) -> Any:
    for part in path.split("."):
        told = told[int(part) if isinstance(told, list) else part]
    return told


def _same(expected: Any, told: Any) -> bool:
    if isinstance(expected, dict):
        if set(expected) == {"any"} and isinstance(told, list):
            return any(_same(expected["any"], item) for item in told)
        return isinstance(told, dict) and all(
            name in told and _same(item, told[name]) for name, item in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(told, list)
            and len(expected) == len(told)
            and all(map(_same, expected, told))
        )
    if isinstance(expected, str) and len(expected) > 1 and expected[0] == expected[-1] == "/":
        return isinstance(told, str) and re.search(expected[1:-1], told) is not None
    return type(expected) is type(told) and bool(expected == told)
