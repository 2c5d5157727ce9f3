"""JSON schemas of requests and responses, made from the structs.

msgspec makes them, not Litestar, whose limits pass through floating point: 2**63 - 1 would become
2**63.
"""

from copy import deepcopy
from typing import Any

import msgspec
from msgspec import Struct

from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.order.summary import OrderSummary
from orders.domain.use_cases.check_readiness import Readiness
from orders.entrypoints.http.problems import Problem

REF = "#/components/schemas/"
_NEW = "New"


class OrderUids(Struct, frozen=True):
    """The published orders by order_uid, in the order of the document, equal orders once."""

    order_uids: tuple[str, ...]


class Liveness(Struct, frozen=True):
    """The process is alive."""

    state: str = "live"


def components() -> dict[str, Any]:
    """Return all schemas of the API by name."""
    return order_schemas() | _schemas_of(OrderSummary, OrderUids, Liveness, Problem, Readiness)


def order_schemas() -> dict[str, Any]:
    """Return the schemas of an order; the names of those for input begin with New."""
    schemas = _schemas_of(Order)
    outputs = [struct.__name__ for struct in (Order, Delivery, Payment, Item)]
    for name in outputs:
        schemas[_NEW + name] = _as_input(schemas[name])
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


def _as_input(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object in input; ``domain.intake.diagnosis`` has the same rules."""
    accepted = deepcopy(schema)
    accepted["title"] = _NEW + accepted["title"]
    for name, kind in accepted["properties"].items():
        if kind.get("type") == "string" and "minLength" not in kind and "format" not in kind:
            kind["type"] = ["string", "null"]
            kind["default"] = ""
            accepted["required"].remove(name)
    _rename(accepted)
    return accepted


def _rename(node: Any) -> None:
    """Make references point to the schemas for input, in place."""
    for value in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        _rename(value)
    if isinstance(node, dict) and "$ref" in node:
        node["$ref"] = REF + _NEW + node["$ref"].removeprefix(REF)
