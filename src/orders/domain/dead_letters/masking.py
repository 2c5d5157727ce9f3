"""Masks personal data in documents.

Only fields of an order that are known not to be personal are shown, in their own place and with
their own type. Everything else becomes a mask with type and length: the delivery, unknown fields,
a text in place of a number.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin

from msgspec import Meta, Struct
from msgspec.structs import fields

from orders.domain.errors import Invalid
from orders.domain.intake.json_scan import has_more_values
from orders.domain.order.model import Order

TEXT_MAX_LENGTH = 500
"""The longest text that is shown, in characters."""
MAX_DEPTH = 50
"""Depth from which objects and arrays are masked as a whole."""
MAX_VALUES = 200_000
"""Of documents with more values, which orders of the largest size do not have, the masks of all of
them would take gigabytes."""

_INT_MAX_LENGTH = 20
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}[0-9:.,]{0,20} ?(?:[Zz]|[+-][0-9:]{2,6})?)?"
)

_Plan = Mapping[str, Any]
"""By field: str, int, "instant", a plan for an object, or a list of one plan for an array."""


def _plan(struct: type[Struct]) -> _Plan:
    return {field.encode_name: _plan_field(field.type) for field in fields(struct)}


def _plan_field(kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return [_plan(get_args(kind)[0])]
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _plan(kind)
    bare, *metas = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if any(isinstance(meta, Meta) and (meta.extra or {}).get("personal") for meta in metas):
        return "personal"
    return "instant" if bare is datetime else bare


SHOWN: _Plan = {**_plan(Order), "status": str}  # what one old producer calls oof_shard
"""The fields that may be shown: those that the model does not mark as personal."""

_NAMES = frozenset({*SHOWN, *SHOWN["delivery"], *SHOWN["payment"], *SHOWN["items"][0]})
"""Keys that are shown anywhere; other keys may be personal data themselves."""

_HEADERS = re.compile(
    r"(?:x-)?(?:request|correlation|trace|span|message|event|schema|client|session)-?id"
    r"|content-(?:type|encoding|length)|traceparent|tracestate|trace|baggage|b3|type|source|encoding"
    r"|x-b3-(?:traceid|spanid|parentspanid|sampled|flags)|uber-trace-id"
    r"|ce[_-](?:id|source|specversion|type|subject|time|dataschema|datacontenttype)"
    r"|orders-replay-of|__typeid__",
    re.IGNORECASE,
)
"""Names of technical headers."""


class _Int(str):
    """An integer as it was written; Python would refuse very long ones."""

    __slots__ = ()


class _Float(str):
    __slots__ = ()


def masked(document: bytes) -> Any:
    """Decode ``document`` and mask its values, with masks such as ``<str 11>``.

    Raises:
        Invalid: it is not JSON in UTF-8, is nested too deep, or has too many values.
    """
    if has_more_values(document, MAX_VALUES):
        raise Invalid("cannot be shown without personal data: too many values")
    try:
        text = document.decode("utf-8-sig")
        value = json.loads(text, parse_int=_Int, parse_float=_Float, parse_constant=_Float)
    except (ValueError, RecursionError):
        raise Invalid("cannot be shown without personal data: not JSON, or too deep") from None
    return _masked(value, [SHOWN] if isinstance(value, list) else SHOWN, 0)


def masked_header(name: str) -> str:
    """Return the name of a technical header, or a mask such as ``<name 11>``."""
    return name if _HEADERS.fullmatch(name) else f"<name {len(name)}>"


def _masked(value: Any, plan: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if depth == MAX_DEPTH:
            return f"<object {len(value)}>"
        fields = plan if isinstance(plan, Mapping) else {}
        lengths: Counter[int] = Counter()
        return {
            _key(key, fields, lengths): _masked(inner, fields.get(key), depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        if depth == MAX_DEPTH:
            return f"<array {len(value)}>"
        element = plan[0] if isinstance(plan, list) else None
        return [_masked(inner, element, depth + 1) for inner in value]
    return _scalar(value, plan)


def _scalar(value: Any, plan: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return "<bool>"
    if isinstance(value, _Int):
        is_shown = plan is int and len(value) <= _INT_MAX_LENGTH
        return int(value) if is_shown else f"<int {len(value)}>"
    if isinstance(value, _Float):
        return f"<float {len(value)}>"
    is_shown = plan is str and len(value) <= TEXT_MAX_LENGTH
    if is_shown or (plan == "instant" and _INSTANT.fullmatch(value)):
        return value
    return f"<str {len(value)}>"


def _key(key: str, fields: _Plan, lengths: Counter[int]) -> str:
    """Return the key, or a mask: a key may contain a name or a phone number, too.

    ``lengths`` counts the masked keys of an object: those of one length are numbered.
    """
    if key in fields or key in _NAMES:
        return key
    length = len(key)
    lengths[length] += 1
    number = lengths[length]
    return f"<key {length}>" if number == 1 else f"<key {length}, {number}>"
