"""Reading an AsyncAPI document as its readers do: the official schema, and what it refers to."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema

_OFFICIAL = json.loads((Path(__file__).parent / "data" / "asyncapi" / "3.0.0.json").read_bytes())


_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    """What jsonschema by itself asks a package for that is not here."""
    if not isinstance(value, str):
        return True
    return bool(_RFC_3339.fullmatch(value) and datetime.fromisoformat(value))


def assert_valid(document: dict[str, Any]) -> None:
    """It meets the official schema, and every reference in it leads somewhere."""
    jsonschema.Draft7Validator(_OFFICIAL).validate(document)
    for reference in _references(document):
        resolved(document, {"$ref": reference})


def resolved(document: dict[str, Any], node: Any) -> Any:
    """What a node is, or what it refers to in the end."""
    while "$ref" in node:
        place = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        node = place
    return node


def message(document: dict[str, Any], channel: str, name: str) -> dict[str, Any]:
    """A message of a channel."""
    found: dict[str, Any] = resolved(document, document["channels"][channel]["messages"][name])
    return found


def validator(document: dict[str, Any], schema: Any) -> Any:
    """For values, by a schema of the document; AsyncAPI's own dialect is that of draft 7."""
    return jsonschema.Draft7Validator(
        {"allOf": [schema], "components": document["components"]},
        format_checker=_FORMATS,
    )


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []
