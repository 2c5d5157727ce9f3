"""The reference order, and documents made from it by changing one thing."""

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from orders.domain.intake.reading import Reading, read
from orders.domain.order.model import Order

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "data" / "order.json").read_text(encoding="utf-8")
)

ABSENT = object()
"""As a value: the field is left out."""


def changed(path: str, value: object, base: dict[str, Any] = REFERENCE) -> dict[str, Any]:
    """The reference order with ``value`` at ``path``, such as ``items.0.price``."""
    document = deepcopy(base)
    *parents, name = path.split(".")
    place: Any = document
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    if value is ABSENT:
        del place[name]
    else:
        place[name] = value
    return document


def field(order: object, path: str) -> Any:
    """The value at ``path`` of an order."""
    for name in path.split("."):
        order = order[int(name)] if isinstance(order, tuple) else getattr(order, name)
    return order


def read_document(document: object) -> Reading:
    return read(json.dumps(document).encode())


def read_raw(text: str) -> Reading:
    return read(text.encode())


def the_order(reading: Reading) -> Order:
    """The one order of a message that holds nothing else."""
    assert reading.refused == ()
    (accepted,) = reading.accepted
    return accepted.order


def faults(reading: Reading) -> list[str]:
    """All faults, as people read them."""
    return [str(fault) for refused in reading.refused for fault in refused.faults]


def leaves(document: object, kinds: type | tuple[type, ...], path: str = "") -> Iterable[str]:
    """The paths of all values of these kinds."""
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for name, value in pairs:
            yield from leaves(value, kinds, f"{path}.{name}" if path else str(name))
    elif isinstance(document, kinds):
        yield path
