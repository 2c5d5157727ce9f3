"""The rules that a field's type can carry.

Each rule stands once, as ``Meta``: the decoder enforces it, the OpenAPI and AsyncAPI documents show
it, and ``extra["rule"]`` is the sentence that people read when it is broken. Two rules that no type
can carry are checked by ``diagnosis``: every text is storable, and an instant lies in the years 1
to 9999 of UTC.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, ValidationError, convert

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
ID_MAX_LENGTH = 255
"""Longest identifier in characters: they are indexed, and an index row has an upper bound."""
ID_MAX_BYTES = 4 * ID_MAX_LENGTH
"""The same in bytes of UTF-8."""

NOT_BLANK = r"[^\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A character that is no white space, spelt out: what ``\\s`` means differs between Python and the
engines that read the pattern in a JSON schema."""

Int64 = Annotated[
    int,
    Meta(
        ge=INT64_MIN,
        le=INT64_MAX,
        extra_json_schema={"format": "int64"},
        extra={"rule": "must fit 64 bits, signed"},
    ),
]
Money = Annotated[
    int,
    Meta(
        ge=0,
        le=INT64_MAX,
        description="In the unit that the sender means; stored and given out as it is.",
        extra_json_schema={"format": "int64"},
        extra={"rule": "must not be negative and must fit 64 bits"},
    ),
]
Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=ID_MAX_LENGTH,
        pattern=NOT_BLANK,
        extra={"rule": f"must be 1 to {ID_MAX_LENGTH} characters and not blank"},
    ),
]
Personal = Annotated[str, Meta(extra={"personal": True})]
"""Text about a person, which tools mask; ``extra["personal"]`` marks it."""
Phone = Annotated[
    Personal,
    Meta(
        pattern=r"^([^0]|$)",
        description="Any text, also empty, that does not start with 0.",
        extra={"rule": "must not start with 0"},
    ),
]
Instant = Annotated[
    datetime,
    Meta(
        tz=True,
        description="RFC 3339 with offset; kept to the microsecond, given out in UTC.",
        extra={
            "rule": "must be RFC 3339 with an offset, without a leap second, and, rounded to "
            "microseconds, in the years 1 to 9999"
        },
    ),
]


def is_order_uid(text: str) -> bool:
    """Whether an order can have ``text`` as its order_uid."""
    try:
        return is_storable(convert(text, Identifier))
    except ValidationError:
        return False


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store ``text``: it holds neither U+0000 nor a lone surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
