"""One element of a message, field by field: a valid order, or everything that is wrong with it.

The slow but thorough twin of the typed decoder. It reads the same structs, so that a field or a
rule added to ``model`` or ``rules`` is known here at once. It also knows what real producers do: a text that
may be empty may be absent or null, and one old producer writes ``oof_shard`` as ``status``.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from orders.domain.document import encode, in_utc
from orders.domain.faults import Fault
from orders.domain.model import Order
from orders.domain.rules import INT64_MAX

_JSON_TYPE = {str: "str", int: "int", datetime: "str"}
_NAMES = {bool: "bool", int: "int", float: "float", str: "str", list: "array", dict: "object"}

_Path = tuple[str | int, ...]


class _Scalar(Struct, frozen=True):
    """A field that holds one value: its whole type, the Python type under it, and its rule."""

    type: Any
    bare: type
    rule: str
    may_be_absent: bool


class _Object(Struct, frozen=True):
    """A field that holds an object, or an array of them."""

    struct: type[Struct]
    fields: dict[str, "_Scalar | _Object"]
    is_array: bool = False


def diagnose(raw: bytes) -> Order | tuple[Fault, ...]:
    """The order that ``raw`` (well-formed JSON in UTF-8) holds, or all its faults, at least one."""
    try:
        value = json.loads(raw, parse_int=_int)
    except RecursionError:
        return (Fault((), "must not be nested so deep"),)
    if (
        isinstance(value, dict)
        and "oof_shard" not in value
        and isinstance(value.get("status"), str)
    ):
        value["oof_shard"] = value["status"]
    _fill(value, _ORDER)
    order = _convert(value)
    if order is not None and b"\\u0000" not in raw:
        return order
    faults = tuple(_object_faults(value, _ORDER, ()))
    if order is not None and not faults:
        return order
    return faults or (Fault((), "must be an order"),)


def _fill(value: Any, plan: _Object) -> None:
    """Put "" for every text that may be empty and is absent or null, in place."""
    if isinstance(value, dict):
        for name, field in plan.fields.items():
            given = value.get(name)
            if isinstance(field, _Object):
                _fill(given, field)
            elif given is None and field.may_be_absent:
                value[name] = ""
    elif isinstance(value, list) and plan.is_array:
        for item in value:
            _fill(item, plan)


def _convert(value: Any) -> Order | None:
    try:
        order = msgspec.convert(value, Order)
        encode(order)  # refuses lone surrogates, which convert does not
        return msgspec.structs.replace(order, date_created=in_utc(order.date_created))
    except (msgspec.ValidationError, UnicodeEncodeError, OverflowError):
        return None


def _object_faults(value: Any, plan: _Object, path: _Path) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(path, f"expected object, got {_name(value)}")
        return
    for name, field in plan.fields.items():
        place = (*path, name)
        if name not in value:
            yield Fault(place, "is required")
        elif isinstance(field, _Scalar):
            if rule := _broken_rule(value[name], field):
                yield Fault(place, rule)
        elif not field.is_array:
            yield from _object_faults(value[name], field, place)
        elif isinstance(value[name], list):
            for i, item in enumerate(value[name]):
                yield from _object_faults(item, field, (*place, i))
        else:
            yield Fault(place, f"expected array, got {_name(value[name])}")


def _broken_rule(value: Any, field: _Scalar) -> str | None:
    expected = _JSON_TYPE[field.bare]
    if _name(value) != expected:
        return f"expected {expected}, got {_name(value)}"
    if isinstance(value, str) and "\0" in value:
        return "must not hold U+0000"
    if isinstance(value, str) and not _is_unicode(value):
        return "must not hold a lone surrogate"
    try:
        read = msgspec.convert(value, field.type)
        if isinstance(read, datetime):
            in_utc(read)
    except msgspec.ValidationError:
        return field.rule
    except OverflowError:
        return "must lie in the years 1 to 9999 of UTC"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _int(digits: str) -> int:
    """Whatever is far out of 64 bits is out of range all the same, and cheap to say so."""
    return int(digits) if len(digits) <= len(str(INT64_MAX)) + 1 else INT64_MAX + 1


def _name(value: Any) -> str:
    return "null" if value is None else _NAMES[type(value)]


def _plan(struct: type[Struct], *, is_array: bool = False) -> _Object:
    fields = {f.encode_name: _plan_field(f.type) for f in msgspec.structs.fields(struct)}
    return _Object(struct, fields, is_array)


def _plan_field(kind: Any) -> _Scalar | _Object:
    if get_origin(kind) is tuple:
        return _plan(get_args(kind)[0], is_array=True)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _plan(kind)
    bare, *metas = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    rule = next((str(m.extra["rule"]) for m in metas if isinstance(m, Meta) and m.extra), "")
    return _Scalar(kind, bare, rule, may_be_absent=bare is str and _takes_empty(kind))


def _takes_empty(kind: Any) -> bool:
    try:
        msgspec.convert("", kind)
    except msgspec.ValidationError:
        return False
    return True


_ORDER = _plan(Order)
