"""The description of the API (api/openapi.py) as Markdown: what may be given, what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dolium import conf
from dolium.api import fields, openapi
from dolium.api.fields import Schema
from dolium.api.routes import ROUTES

Document = dict[str, Any]

SPELLINGS = {
    str(fields.toggle.schema): "boolean in any spelling: `true`, `True`, `1`, `yes`, `on`, …",
    str(fields.switch.schema): 'boolean: `true`, `"True"`, `"true"`, …, or null',
}
BOUNDS = (("minLength", "maxLength", " characters"), ("minimum", "maximum", ""))
"""Least, most, and what of."""


def page() -> str:
    """All of it."""
    document = openapi.document(ROUTES, conf.Limits())
    tags: dict[str, list[str]] = {}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            text = _operation(f"{verb.upper()} {path}", operation)
            tags.setdefault(operation["tags"][0], []).append(text)
    found = [f"\n## {_title(tag)}\n\n{''.join(told)}" for tag, told in sorted(tags.items())]
    shapes = [_shape(name, told) for name, told in document["components"]["schemas"].items()]
    return "".join([*found, "\n## Shapes of answers\n\n", *shapes])


def _title(tag: str) -> str:
    return tag.replace("_", " ").capitalize()


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _operation(name: str, operation: Document) -> str:
    rows = [
        ["query", *_field(each["name"], each, each["schema"])]
        for each in operation["parameters"]
        if each.get("in") == "query"
    ]
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    told = schema.get("properties", {})
    if rows and told and {row[1] for row in rows} == {f"`{name}`" for name in told}:
        rows = [["query or body", *row[1:]] for row in rows]
    else:
        rows += _fields("body", schema)
    text = f"### {name}\n\n"
    if said := operation.get("description"):
        text += f"{said}\n\n"
    if span := operation.get("x-openstack"):
        text += f"{_span(span)}\n\n"
    if rows:
        text += table(["in", "name", "takes", "since"], rows) + "\n"
    return f"{text}Answers {_answers(operation['responses'])}.\n\n"


def _span(span: dict[str, str]) -> str:
    first, last = span.get("min-ver"), span.get("max-ver")
    return " ".join(
        [*([f"Since {first}."] if first else ()), *([f"Until {last}."] if last else ())]
    )


def _fields(where: str, schema: Schema, before: str = "") -> list[list[str]]:
    """Rows of an object's fields, and of theirs."""
    rows: list[list[str]] = []
    for name, told in schema.get("properties", {}).items():
        must = {"required": name in schema.get("required", ())}
        rows.append([where, *_field(f"{before}{name}", must | told, told)])
        rows += _fields(where, told, f"{before}{name}.")
        rows += _fields(where, told.get("items", {}), f"{before}{name}[].")
    return rows


def _field(name: str, told: Document, schema: Schema) -> list[str]:
    since = told.get("x-openstack", {}).get("min-ver", "")
    must = " (required)" if told.get("required") is True else ""
    return [f"`{name}`{must}", takes(schema), since]


def takes(schema: Schema) -> str:
    """A schema in words."""
    plain = {key: value for key, value in schema.items() if key != "x-openstack"}
    if said := SPELLINGS.get(str(plain)):
        return said
    if reference := plain.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := plain.get("anyOf"):
        return " or ".join(takes(each) for each in choices)
    if "enum" in plain:
        return ", ".join(_literal(value) for value in plain["enum"] if value != "")
    kinds = plain.get("type", "anything")
    text = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if items := plain.get("items"):
        text = text.replace("array", f"array of {takes(items)}")
    elif isinstance(values := plain.get("additionalProperties"), dict):
        text = text.replace("object", f"object of {takes(values)}")
    return ", ".join([text, *_bounds(plain)])


def _literal(value: Any) -> str:
    return "null" if value is None else f"`{value}`"


def _bounds(schema: Schema) -> list[str]:
    found = []
    for least, most, unit in BOUNDS:
        low, high = schema.get(least), schema.get(most)
        if low is not None and high is not None:
            found.append(f"{low} to {high}{unit}")
        elif low is not None:
            found.append(f"at least {low}{unit}")
        elif high is not None:
            found.append(f"at most {high}{unit}")
    if "pattern" in schema and "integer" not in schema["type"] and "number" not in schema["type"]:
        found.append(f"`{schema['pattern']}`")
    if said := schema.get("description") or schema.get("format"):
        found.append(said)
    return found


def _answers(responses: Document) -> str:
    status, told = next((s, t) for s, t in responses.items() if s.isdigit())
    content = told.get("content")
    if not content:
        return status
    kinds = [
        takes(each["schema"]) if media == "application/json" else f"`{media}`"
        for media, each in content.items()
    ]
    return f"{status}, {' or '.join(kinds)}"


def _shape(name: str, schema: Schema) -> str:
    text = f"### {name}\n\n"
    if said := schema.get("description"):
        text += f"{' '.join(said.split())}\n\n"
    if "enum" in schema:
        return f"{text}{takes(schema)}.\n\n"
    always = schema.get("required", ())
    rows = [
        [f"`{field}`{'' if field in always else ' (not always)'}", takes(told)]
        for field, told in schema.get("properties", {}).items()
    ]
    return text + table(["field", "is"], rows) + "\n"
