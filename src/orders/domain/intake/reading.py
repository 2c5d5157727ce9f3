"""Reads messages: the orders in them, and the faults of the rest.

The fast path is the typed decoder, for messages in which every field is present and valid. What it
refuses takes the tolerant path: each element by itself, with all of its faults. That path also
accepts absent or null texts, and the old name of ``oof_shard``.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Literal

import msgspec
from msgspec import Struct

from orders.domain.intake.diagnosis import MAX_DEPTH, diagnose
from orders.domain.intake.diagnosis import MAX_FAULTS as MAX_FAULTS_OF_ONE
from orders.domain.intake.faults import Fault
from orders.domain.intake.json_scan import (
    MalformedError,
    TooManyValuesError,
    depth,
    has_more_values,
    scan,
)
from orders.domain.intake.messages import MAX_MESSAGE_BYTES
from orders.domain.order.document import encode, in_utc
from orders.domain.order.model import Order

MAX_DOCUMENT_BYTES = 2**20
"""The largest document of an order, about what a topic takes by default. Each that a client asks
for costs the API and PostgreSQL time in proportion."""
ORDER_TOO_LARGE = f"must not hold an order of more than {MAX_DOCUMENT_BYTES >> 20} MiB"
"""What is wrong with the message of a larger one."""

MAX_KEY_BYTES = 8 * 2**20
"""The most bytes of order_uids that the items of a message are stored with, and indexed by: each
item, however small, has that of its order."""
KEY_BYTES_PER_BYTE = 4
"""The most of them for each byte of a message. An order_uid with as many bytes as the items have on
average would have one."""
_FEW_BYTES = 2_048
"""Size of a message in which they are not counted."""

MAX_VALUES = 1_000_000
"""The most values in a message that has faults: arrays of orders of 10 MB have fewer. Without this
bound, a message of many tiny values would take minutes to diagnose, and gigabytes of memory."""

MIN_ORDER_BYTES = 128
"""Less than the shortest order has."""
MAX_ELEMENTS = 10_000
"""The most elements of an array. Each may become a dead letter, also a valid order where another
one with its order_uid is stored; a message of a kilobyte may unpack to 60,000 of them."""
MAX_REFUSED_SMALL = 20
"""The most elements of an array that are refused one by one, each a dead letter; more in one with
``MIN_ORDER_BYTES`` for each. So a message of some kilobytes that decompresses to an array of junk
does not become thousands of dead letters (docs/adr/0038-junk-is-one-dead-letter.md)."""
MAX_FAULTS = 100_000
"""Faults of an array after which only the first fault of each element is looked for."""

_TOO_MANY_ELEMENTS = f"must not have more than {MAX_ELEMENTS:,} elements"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON_BLANKS = b" \t\n\r"
_DOUBTFUL_ESCAPE = re.compile(rb"\\u00(?:00|2[bBdD]|3[0-9])")
"""U+0000, which the decoder accepts, or a sign or a digit, which may belong to an instant."""
_OFFSET_WITHOUT_COLON = re.compile(rb'[+-][0-9]{4}"')
_OWN_BRACKETS = 4
"""Opening brackets of an order without items."""
_OWN_DEPTH = 4
"""Nesting of an order's own fields: an array of orders, an order, its items, an item."""
_SCALAR_NAMES = {b'"': "str", b"t": "bool", b"f": "bool"}

_decode: Callable[[bytes], Order | list[Order]] = msgspec.json.Decoder(Order | list[Order]).decode

_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_whole = msgspec.json.Decoder(msgspec.Raw).decode

ReadingCode = Literal["undecodable", "invalid", "excessive", "empty"]


class Accepted(Struct, frozen=True, gc=False):
    """A valid order and its index in the message; 0 if the message is not an array.

    ``raw``: its original bytes, where it took long to find them.
    """

    index: int
    order: Order
    raw: bytes = b""


class Refused(Struct, frozen=True):
    """An element that is not a valid order: its original bytes and its faults.

    It is the whole message if that is not an array, cannot be split into elements, or is
    ``excessive``.
    """

    index: int
    raw: bytes
    code: ReadingCode
    faults: tuple[Fault, ...]


class Reading(Struct, frozen=True, gc=False):
    """The content of a message. Paths of faults are ``$[2].x`` if ``is_array``, else ``$.x``."""

    accepted: tuple[Accepted, ...] = ()
    refused: tuple[Refused, ...] = ()
    is_array: bool = False


def read(
    value: bytes | None, enough: int | None = None, of_one: int = MAX_FAULTS_OF_ONE
) -> Reading:
    """Read a message with an order or an array of orders. Never raises because of ``value``.

    An array with too many elements, or too many that are refused, is refused as a whole, unless
    ``enough`` is given: then the rest of it is not read after so many faults. That is for callers
    that take all or nothing.
    ``of_one`` is the most faults of one element.
    """
    if value is None:
        return _whole(b"", "empty", "must not be a tombstone")
    if len(value) > MAX_MESSAGE_BYTES:
        return refused_as_one(value, f"must not be larger than {MAX_MESSAGE_BYTES >> 20} MiB")
    reading = read_typed(value) or _read_text(value, enough, of_one)
    if enough is None and len(reading.accepted) > MAX_ELEMENTS:
        return refused_as_one(value, _TOO_MANY_ELEMENTS)
    # With all its absent texts, a document is less than twice as large as what was sent.
    if len(value) > MAX_DOCUMENT_BYTES // 2 and any(map(_is_too_large, reading.accepted)):
        return refused_as_one(value, ORDER_TOO_LARGE)
    if len(value) > _FEW_BYTES:
        most = min(MAX_KEY_BYTES, KEY_BYTES_PER_BYTE * len(value))
        if sum(map(_key_bytes, reading.accepted)) > most:
            rule = f"must not take more than {most:,} bytes for the order_uids of its items"
            return refused_as_one(value, rule)
    return reading


def read_typed(value: bytes) -> Reading | None:
    """Take the fast path; returns None if the tolerant path has to decide.

    That may take a hundred times as long.
    """
    text = value.removeprefix(_BYTE_ORDER_MARK)
    # Searching for a single byte first is faster, and usually there is none.
    if b"\\" in text and _DOUBTFUL_ESCAPE.search(text):
        return None
    try:
        text.decode()  # the decoder does not check fields that it skips
        decoded = _decode(text)
        is_array = isinstance(decoded, list)
        orders = decoded if isinstance(decoded, list) else [decoded]
        if not _is_shallow(text, orders) or _may_lack_a_colon(text, orders):
            return None
        accepted = tuple([Accepted(i, _utc(order)) for i, order in enumerate(orders)])
        return Reading(accepted, is_array=is_array)
    except (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError):
        return None


def elements(value: bytes) -> list[bytes]:
    """Return the original bytes of each element of a message that is JSON.

    If the message is not an array, this is the message itself.
    """
    kind, parts = _split(value.removeprefix(_BYTE_ORDER_MARK))
    return list(parts) if kind == b"[" else [value]


def _is_shallow(text: bytes, orders: list[Order]) -> bool:
    """Whether no order in ``text`` is nested too deep; False in case of doubt.

    The decoder skips unknown fields, so the text is scanned if it has more brackets than our own
    fields and unknown fields of an allowed depth can have.
    """
    brackets = text.count(b"{") + text.count(b"[")
    ours = sum([_OWN_BRACKETS + len(order.items) for order in orders])
    return brackets - ours <= MAX_DEPTH - _OWN_DEPTH or depth(text) <= MAX_DEPTH


def _may_lack_a_colon(text: bytes, orders: list[Order]) -> bool:
    """Whether an instant may have an offset such as +0300, which is not RFC 3339.

    The decoder accepts it. Scanning the whole text is slow and rarely necessary.
    """
    if b'0000"' in text and (b'+0000"' in text or b'-0000"' in text):
        return True  # decoded, it is UTC like any other
    for order in orders:
        if order.date_created.tzinfo is not UTC:
            return _OFFSET_WITHOUT_COLON.search(text) is not None
    return False


def refused_as_one(value: bytes, rule: str) -> Reading:
    """Return the reading of a message that would take too much to be read."""
    return _whole(value, "excessive", rule)


def _is_too_large(accepted: Accepted) -> bool:
    return len(encode(accepted.order)) > MAX_DOCUMENT_BYTES


def _key_bytes(accepted: Accepted) -> int:
    return len(accepted.order.items) * len(accepted.order.order_uid.encode())


def _read_text(value: bytes, enough: int | None, of_one: int) -> Reading:
    text = value.removeprefix(_BYTE_ORDER_MARK)
    if not text.strip(_JSON_BLANKS):
        return _whole(value, "empty", "must not be empty")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        at = error.start + len(value) - len(text)
        return _whole(value, "undecodable", f"must be UTF-8 (byte {at})")
    return _read_tolerantly(value, text, enough, of_one)


def _read_tolerantly(
    value: bytes, text: bytes, enough: int | None = None, of_one: int = MAX_FAULTS_OF_ONE
) -> Reading:
    if has_more_values(text, MAX_VALUES):
        return refused_as_one(value, f"must not have more than {MAX_VALUES:,} values")
    try:
        kind, parts = _split(text)
    except TooManyValuesError as error:
        return refused_as_one(value, f"must not have more than {error.most:,} values")
    except MalformedError as error:
        at = error.position + len(value) - len(text)
        return _whole(value, "undecodable", f"must be JSON (byte {at})")
    if kind == b"[":
        return _read_elements(value, parts, enough, of_one)
    return _read_one(value, kind, next(parts), of_one)


def _read_one(value: bytes, kind: bytes, text: bytes, of_one: int) -> Reading:
    if kind == b"n":
        return _whole(value, "empty", "must not be null")
    if kind != b"{":
        got = _SCALAR_NAMES.get(kind, "number")
        return _whole(value, "invalid", f"expected object or array, got {got}")
    verdict = diagnose(text, of_one)
    if isinstance(verdict, Order):
        return Reading((Accepted(0, verdict),))
    return Reading((), (Refused(0, value, "invalid", verdict),))


def _read_elements(
    value: bytes, parts: Iterator[bytes], enough: int | None, of_one: int
) -> Reading:
    most = max(MAX_REFUSED_SMALL, len(value) // MIN_ORDER_BYTES)
    accepted: list[Accepted] = []
    refused: list[Refused] = []
    number_of_faults = 0
    for index, raw in enumerate(parts):
        if enough is None and index == MAX_ELEMENTS:
            return refused_as_one(value, _TOO_MANY_ELEMENTS)
        verdict = diagnose(raw, min(of_one, max(1, MAX_FAULTS - number_of_faults)))
        if isinstance(verdict, Order):
            accepted.append(Accepted(index, verdict, raw))
            continue
        faults = tuple([fault.under(index) for fault in verdict])
        refused.append(Refused(index, raw, "invalid", faults))
        number_of_faults += len(faults)
        if enough is None and len(refused) > most:
            return refused_as_one(value, f"must not have more than {most:,} invalid elements")
        if enough is not None and number_of_faults >= enough:
            break
    return Reading(tuple(accepted), tuple(refused), is_array=True)


def _split(text: bytes) -> tuple[bytes, Iterator[bytes]]:
    """Return the first byte of the top-level value, and its elements or the value itself.

    Raises:
        MalformedError: ``text`` is not JSON.
        TooManyValuesError: it would take too long to tell.
    """
    try:
        if text.lstrip(_JSON_BLANKS).startswith(b"["):
            return b"[", map(bytes, _decode_elements(text))
        whole = bytes(_decode_whole(text))
        return whole[:1], iter((whole,))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = scan(text)  # slower, but accepts all JSON
        return found.kind, (text[start:end] for start, end in found.spans)


def _utc(order: Order) -> Order:
    moment = order.date_created
    utc = in_utc(moment)
    return order if utc is moment else msgspec.structs.replace(order, date_created=utc)


def _whole(value: bytes, code: ReadingCode, rule: str) -> Reading:
    return Reading((), (Refused(0, value, code, (Fault((), rule),)),))
