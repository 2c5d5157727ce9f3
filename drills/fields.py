"""Group 6: every field with every kind of value that it may not hold, and some that it may."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from drills.drill import drill
from drills.expectations import Bad, Document
from drills.model import expectations
from drills.stage import Stage
from drills.undisturbed import undisturbed

ABSENT = object()
VALUES: tuple[Any, ...] = (
    *(ABSENT, None, True, False, 1, 0, -1, 1.5, 1817.0, -0.0, "1817", "x", "", " ", [], {}),
    *(["x"], [None], [{}], {"a": 1}, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30),
    *("0972", "\0", "a\0b", "\ud800", "x\udfff", "\u2003", "😀" * 255, "x" * 256, "2021-11-26"),
)
SPELT: tuple[str, ...] = ("1e3", "1.8E+3", "-0", "1e999", "9" * 5_000, "[" * 600 + "]" * 600)
"""Written as they are here."""


@drill(6, "wrong types and values in every field, missing and null fields")
def poison_fields(stage: Stage) -> None:
    """Each field of the document with each value, everything else being right."""
    with undisturbed(stage, 60):
        refused = 0
        for raw in _documents(stage):
            expected = expectations(raw)
            refused += isinstance(expected[0], Bad)
            stage.traffic.send(raw, expected)
        assert refused > 1_000, "the fields are not found"


def _documents(stage: Stage) -> Iterator[bytes]:
    [template] = stage.traffic.orders(1)
    template["items"] = template["items"][:1]
    marker = f"marker-{stage.rng.getrandbits(64):x}"
    for path in _places(template):
        for value in (*VALUES, *SPELT):
            document = copy.deepcopy(template) | {"order_uid": f"{stage.rng.getrandbits(128):x}"}
            place: Any = document
            for name in path[:-1]:
                place = place[name]
            if value is ABSENT:
                del place[path[-1]]
            else:
                place[path[-1]] = marker if value in SPELT else value
            text = json.dumps(document)
            yield (text.replace(f'"{marker}"', value) if value in SPELT else text).encode()


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths to everything in a document, objects and arrays too."""
    if path:
        yield path
    members: Document = value if isinstance(value, dict) else {}
    for name, inner in members.items():
        yield from _places(inner, (*path, name))
    for index, inner in enumerate(value if isinstance(value, list) else ()):
        yield from _places(inner, (*path, index))


DRILLS = (poison_fields,)
