"""Schemas of what goes in and out, made from the structs that do the work.

msgspec makes them and not the framework, whose limits pass through floating point: 2**63 - 1 would
be told as 2**63.
"""

from copy import deepcopy
from typing import Any

import msgspec
from msgspec import Struct

from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.use_cases.check_readiness import Readiness
from orders.entrypoints.http.problems import Problem

REF = "#/components/schemas/"
_NEW = "New"


class OrderUids(Struct, frozen=True):
    """What was published: the order_uids in the order of the document, equal orders once."""

    order_uids: tuple[str, ...]


class Liveness(Struct, frozen=True):
    """The process answers."""

    state: str = "live"


def components() -> dict[str, Any]:
    """All schemas of the API by name."""
    return order_schemas() | _schemas_of(OrderUids, Liveness, Problem, Readiness)


def order_schemas() -> dict[str, Any]:
    """Those of an order; what is sent to us has names that begin with New."""
    schemas = _schemas_of(Order)
    given_out = [struct.__name__ for struct in (Order, Delivery, Payment, Item)]
    for name in given_out:
        schemas[_NEW + name] = _as_taken(schemas[name])
    schemas["NewOrder"]["properties"]["status"] = {
        "description": "The old name of oof_shard: a text here stands for it where that is absent.",
        "deprecated": True,
    }
    schemas["NewOrder"]["description"] = (
        "An order as producers may send it: a text that may be empty may also be absent or null "
        "and reads as empty; unknown fields are ignored; of a repeated key the last wins. Integers "
        "are written without fraction or exponent. No text holds U+0000 or a lone surrogate, and "
        "date_created lies in the years 1 to 9999 of UTC."
    )
    return schemas


def _schemas_of(*structs: type[Struct]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(structs, ref_template=REF + "{name}")
    return schemas


def _as_taken(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the same object when it comes in; ``domain.diagnosis`` acts by these rules."""
    taken = deepcopy(schema)
    taken["title"] = _NEW + taken["title"]
    for name, kind in taken["properties"].items():
        if kind.get("type") == "string" and "minLength" not in kind and "format" not in kind:
            kind["type"] = ["string", "null"]
            kind["default"] = ""
            taken["required"].remove(name)
    _rename(taken)
    return taken


def _rename(node: Any) -> None:
    """Let references lead to the schemas of what comes in, in place."""
    for value in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        _rename(value)
    if isinstance(node, dict) and "$ref" in node:
        node["$ref"] = REF + _NEW + node["$ref"].removeprefix(REF)
