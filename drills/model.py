"""What is to become of a message, whatever it holds: the rules of the document, said once more.

Nothing of the product is used, so that the two can be held against each other.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from drills.expectations import Bad, Expected, Good, bad
from drills.json_parts import NotJSON, Part, parse
from drills.stored import instant

DEEPEST = 500
"""Arrays and objects that may lie within each other in one order."""

MIN_REFUSED, BYTES_OF_REFUSED = 20, 128
"""Elements of an array that are refused one by one: so many, more if it has so many bytes for each.
Beyond that all of it is refused as one."""
MOST_ELEMENTS = 10_000
"""So is an array with more."""

_BOM = b"\xef\xbb\xbf"
_MAX_FAULTS = 6
"""So many faults of one order are looked for in a text that may be cut."""
_NAMES = {bool: "bool", int: "int", float: "float", str: "str", list: "array", dict: "object"}
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_Rule = Callable[[Any], str | None]
"""What is said of a value (a regular expression); None if nothing is wrong with it."""
_Shape = Mapping[str, Any]


def expectations(value: bytes | None) -> list[Expected]:
    """What each order of this message is to become, in the order of the array."""
    if value is None:
        return [bad(None, "empty", detail="tombstone")]
    text = value.removeprefix(_BOM)
    if not text.strip(b" \t\n\r"):
        return [bad(value, "empty", detail="empty")]
    try:
        whole, elements = parse(text.decode())
    except UnicodeDecodeError as error:
        at = error.start + len(value) - len(text)
        return [bad(value, "undecodable", detail=rf"^\$: .*UTF-8 \(byte {at}\)$")]
    except NotJSON:
        return [bad(value, "undecodable", detail=r"^\$: .*JSON \(byte [0-9]+\)$")]
    return _of_json(value, whole, elements)


def _of_json(value: bytes, whole: Part, elements: list[Part]) -> list[Expected]:
    if whole.value is None:
        return [bad(value, "empty", detail=r"^\$: .*null")]
    if isinstance(whole.value, list):
        each = [_judged(part, part.raw, f"$[{i}]") for i, part in enumerate(elements)]
        most = max(MIN_REFUSED, len(value) // BYTES_OF_REFUSED)
        if sum(isinstance(one, Bad) for one in each[:MOST_ELEMENTS]) > most:
            return [bad(value, "excessive", detail=rf"^\$: .*{most:,} invalid elements$")]
        if len(each) > MOST_ELEMENTS:
            return [bad(value, "excessive", detail=rf"^\$: .*{MOST_ELEMENTS:,} elements$")]
        return each
    if isinstance(whole.value, dict):
        return [_judged(whole, value, "$")]
    name = _name(whole.value).replace("int", "number").replace("float", "number")
    return [bad(value, "invalid", detail=rf"^\$: expected object or array, got {name}$")]


def _judged(part: Part, raw: bytes, path: str) -> Good | Bad:
    """``raw`` is what a dead letter of it holds."""
    if part.depth > DEEPEST:
        return bad(raw, "invalid", detail=rf"^{re.escape(path)}: .*nested so deep$")
    faults = _faults(part.value, path)
    if not faults:
        return Good(part.value, raw)
    description = "; ".join(f"{re.escape(place)}: {rule}" for place, rule in faults[:_MAX_FAULTS])
    end = "$" if len(faults) <= _MAX_FAULTS else "; "
    return bad(raw, "invalid", detail=f"^{description}{end}")


def _faults(value: Any, path: str) -> list[tuple[str, str]]:
    """Places and what is said of each, in the order of the document."""
    is_dialect = isinstance(value, dict) and "oof_shard" not in value
    if is_dialect and isinstance(value.get("status"), str):
        value = value | {"oof_shard": value["status"]}
    return _object_faults(value, _ORDER, path)


def _object_faults(value: Any, shape: _Shape, path: str) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(path, f"expected object, got {_name(value)}")]
    faults: list[tuple[str, str]] = []
    for name, rule in shape.items():
        place = f"{path}.{name}"
        if rule in _OPTIONAL and value.get(name) is None:
            continue
        if name not in value:
            faults.append((place, "is required"))
        elif isinstance(rule, Mapping):
            faults += _object_faults(value[name], rule, place)
        elif isinstance(rule, list):
            faults += _array_faults(value[name], rule[0], place)
        elif said := rule(value[name]):
            faults.append((place, said))
    return faults


def _array_faults(value: Any, shape: _Shape, path: str) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        return [(path, f"expected array, got {_name(value)}")]
    each = (_object_faults(item, shape, f"{path}[{i}]") for i, item in enumerate(value))
    return [fault for faults in each for fault in faults]


def _name(value: Any) -> str:
    return "null" if value is None else _NAMES[type(value)]


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"expected str, got {_name(value)}"
    if "\0" in value:
        return r"[^;]*U\+0000"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "[^;]*lone surrogate"
    return None


def _identifier(value: Any) -> str | None:
    fits = isinstance(value, str) and value.strip() and len(value) <= 255
    return _text(value) or (None if fits else "[^;]*255 characters and not blank")


def _phone(value: Any) -> str | None:
    return _text(value) or ("[^;]*start with 0" if value.startswith("0") else None)


def _instant(value: Any) -> str | None:
    if said := _text(value):
        return said
    if not _RFC_3339.fullmatch(value):
        return "[^;]*RFC 3339[^;]*"
    try:
        instant(value)
    except (ValueError, OverflowError):  # no such day or hour, or in UTC out of the years
        return "[^;]*(RFC 3339|years 1 to 9999)[^;]*"
    return None


def _int(value: Any) -> str | None:
    if type(value) is not int:
        return f"expected int, got {_name(value)}"
    return None if -(2**63) <= value < 2**63 else "[^;]*64 bits[^;]*"


def _money(value: Any) -> str | None:
    return _int(value) or ("[^;]*not be negative[^;]*" if value < 0 else None)


_OPTIONAL: tuple[_Rule, ...] = (_text, _phone)

_DELIVERY: _Shape = {
    **dict.fromkeys(("name",), _text),
    "phone": _phone,
    **dict.fromkeys(("zip", "city", "address", "region", "email"), _text),
}
_PAYMENT: _Shape = {
    **dict.fromkeys(("transaction", "request_id", "currency", "provider"), _text),
    "amount": _money,
    "payment_dt": _int,
    "bank": _text,
    **dict.fromkeys(("delivery_cost", "goods_total", "custom_fee"), _money),
}
_ITEM: _Shape = {
    "chrt_id": _int,
    "track_number": _text,
    "price": _money,
    "rid": _text,
    "name": _text,
    "sale": _int,
    "size": _text,
    "total_price": _money,
    "nm_id": _int,
    "brand": _text,
    "status": _int,
}
_ORDER: _Shape = {
    "order_uid": _identifier,
    "track_number": _identifier,
    "entry": _text,
    "delivery": _DELIVERY,
    "payment": _PAYMENT,
    "items": [_ITEM],
    "locale": _text,
    "internal_signature": _text,
    "customer_id": _identifier,
    "delivery_service": _text,
    "shardkey": _text,
    "sm_id": _int,
    "date_created": _instant,
    "oof_shard": _text,
}
