"""Reads one element of a message field by field: an order, or all of its faults.

This is slower than the typed decoder, but finds all faults. It is derived from the same structs, so
that it knows new fields and rules of ``model`` and ``rules``. It also accepts what real producers
send: a text that may be empty may be absent or null, and one old producer writes ``oof_shard`` as
``status``.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from orders.domain.intake.faults import Fault
from orders.domain.intake.json_scan import depth
from orders.domain.order.document import in_utc
from orders.domain.order.model import Order
from orders.domain.order.rules import INT64_MAX, is_storable

_JSON_TYPE = {str: "str", int: "int", datetime: "str"}
_NAMES = {bool: "bool", int: "int", float: "float", str: "str", list: "array", dict: "object"}

MAX_DEPTH = 500
"""The deepest nesting of arrays and objects in an order, unknown fields included.

The limits of the decoders depend on the depth of their caller's stack, and the same bytes must
always be judged in the same way.
"""

MAX_FAULTS = 1_000
"""The most faults that are reported for one order."""

_NUL_ESCAPE = b"\\u0000"
"""U+0000, which the decoders accept, or an escaped backslash before ``u0000``."""

_OFFSET = re.compile(r"(?:[Zz]|:[0-9]{2})\Z")
"""The end of an instant in RFC 3339; the decoders also accept offsets without the colon."""

_decode = msgspec.json.Decoder(float_hook=lambda _: _FLOAT).decode
_FLOAT = 0.5
"""Stands for every number with a fraction or an exponent: none of our fields takes one. To parse
one near the bounds of a float takes msgspec 20 microseconds, in which no other thread runs."""

_Path = tuple[str | int, ...]


class _Scalar(Struct, frozen=True):
    """A field with a single value: its annotated type, the bare type, and its rule."""

    full: Any
    bare: type
    rule: str
    may_be_absent: bool


class _Object(Struct, frozen=True):
    """A field with an object, or with an array of objects.

    ``loose_texts`` are the ``fields`` that may be absent or null, ``objects`` those with objects.
    """

    fields: dict[str, "_Scalar | _Object"]
    loose_texts: frozenset[str]
    objects: dict[str, "_Object"]
    is_array: bool = False


def diagnose(raw: bytes, most: int = MAX_FAULTS) -> Order | tuple[Fault, ...]:
    """Return the order in ``raw``, which is JSON in UTF-8, or its faults: ``most`` at most.

    There is at least one fault.
    """
    if order := _read_leniently(raw):
        return order
    if is_too_deep(raw):
        return (Fault((), "must not be nested so deep"),)
    # json accepts what msgspec refuses: lone surrogates and any number.
    value = _renamed(json.loads(raw, parse_int=_int, parse_float=lambda _: _FLOAT))
    faults = tuple(islice(_object_faults(value, _ORDER, ()), most))
    # Without a fault, the decoder has refused something in an unknown field.
    order = None if faults else _convert(_only_ours(_completed(value), _ORDER))
    return order or faults or (Fault((), "must be an order"),)


def is_too_deep(raw: bytes) -> bool:
    """Whether ``raw``, if it is JSON, is nested deeper than ``MAX_DEPTH``."""
    return raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and depth(raw) > MAX_DEPTH


def _read_leniently(raw: bytes) -> Order | None:
    """Decode an order whose optional texts may be absent; returns None in case of doubt."""
    if _NUL_ESCAPE in raw or is_too_deep(raw):
        return None
    try:
        return _convert(_completed(_decode(raw)))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _completed(value: Any) -> Any:
    """Return ``value`` with "" for absent texts, and with ``oof_shard`` for ``status``."""
    value = _renamed(value)
    _fill(value, _ORDER)
    return value


def _renamed(value: Any) -> Any:
    """Return ``value`` with ``oof_shard`` for ``status``, its name with one old producer."""
    if isinstance(value, dict) and "oof_shard" not in value:
        status = value.get("status")
        if isinstance(status, str):
            value["oof_shard"] = status
    return value


def _fill(value: Any, plan: _Object) -> bool:
    """Set every absent or null text that may be empty to "", in place.

    Stops at an object that lacks a required field, and returns False: such a document is not an
    order, and may have very many of them.
    """
    if isinstance(value, list) and plan.is_array:
        return all(_fill(item, plan) for item in value)
    if not isinstance(value, dict) or len(value) < len(plan.fields) - len(plan.loose_texts):
        return False
    for name in plan.loose_texts:
        if value.get(name) is None:
            value[name] = ""
    return all(_fill(value.get(name), inner) for name, inner in plan.objects.items())


def _convert(value: Any) -> Order | None:
    try:
        order = msgspec.convert(value, Order)
        if not _OFFSET.search(value["date_created"]):
            return None
        moment = order.date_created
        utc = in_utc(moment)
    except (msgspec.ValidationError, OverflowError):
        return None
    return order if utc is moment else msgspec.structs.replace(order, date_created=utc)


def _only_ours(value: Any, plan: _Object) -> Any:
    """Return ``value``, which has no faults, without unknown fields."""
    if isinstance(value, list):
        return [_only_ours(item, plan) for item in value]
    objects = plan.objects
    return {
        name: _only_ours(value[name], objects[name]) if name in objects else value[name]
        for name in plan.fields
    }


def _object_faults(value: Any, plan: _Object, path: _Path) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(path, f"expected object, got {_name(value)}")
        return
    for name, field in plan.fields.items():
        place = (*path, name)
        if value.get(name) is None and name in plan.loose_texts:
            continue
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
    if isinstance(value, str) and not is_storable(value):
        return "must not hold U+0000" if "\0" in value else "must not hold a lone surrogate"
    try:
        read = msgspec.convert(value, field.full)
        if isinstance(read, datetime):
            in_utc(read)
    except msgspec.ValidationError:
        return field.rule
    except OverflowError:
        return "must lie in the years 1 to 9999 of UTC"
    is_right = field.bare is not datetime or _OFFSET.search(value)
    return None if is_right else field.rule


def _int(digits: str) -> int:
    """Parse an integer; very long ones become one that is out of range."""
    return int(digits) if len(digits) <= len(str(INT64_MAX)) + 1 else INT64_MAX + 1


def _name(value: Any) -> str:
    return "null" if value is None else _NAMES[type(value)]


def _plan(struct: type[Struct], *, is_array: bool = False) -> _Object:
    fields = {f.encode_name: _plan_field(f.type) for f in msgspec.structs.fields(struct)}
    scalars = [(name, field) for name, field in fields.items() if isinstance(field, _Scalar)]
    loose = frozenset(name for name, scalar in scalars if scalar.may_be_absent)
    objects = {name: field for name, field in fields.items() if isinstance(field, _Object)}
    return _Object(fields, loose, objects, is_array)


def _plan_field(kind: Any) -> _Scalar | _Object:
    if get_origin(kind) is tuple:
        return _plan(get_args(kind)[0], is_array=True)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _plan(kind)
    bare, *metas = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    extras = [meta.extra or {} for meta in metas if isinstance(meta, Meta)]
    rule = next((str(extra["rule"]) for extra in extras if "rule" in extra), "")
    return _Scalar(kind, bare, rule, may_be_absent=bare is str and _takes_empty(kind))


def _takes_empty(kind: Any) -> bool:
    try:
        msgspec.convert("", kind)
    except msgspec.ValidationError:
        return False
    return True


_ORDER = _plan(Order)
