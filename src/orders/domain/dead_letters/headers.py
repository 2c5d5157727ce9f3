"""What is written on a dead letter, and on a message that is sent again, as headers.

The names are what other tools rely on. A letter carries the original headers of its message, then
ours; an original header with a name of ours comes from an earlier life of the message as a dead
letter: it would contradict, and gives way.
"""

import re
from datetime import datetime
from typing import get_args

from orders.domain.intake.messages import (
    MAX_ATTEMPT,
    DeadLetter,
    ErrorCode,
    Headers,
    Identity,
    Message,
)
from orders.domain.order.document import in_utc

CODE = "orders-error-code"
DETAIL = "orders-error-detail"
SOURCE_TOPIC = "orders-source-topic"
SOURCE_PARTITION = "orders-source-partition"
SOURCE_OFFSET = "orders-source-offset"
SOURCE_INDEX = "orders-source-index"
FAILED_AT = "orders-failed-at"
ATTEMPT = "orders-attempt"
"""On a dead letter: the how many-th failure it is. On a message: how often it had failed before."""
REPLAY_OF = "orders-replay-of"
"""On a message: the root of the dead letter that it was sent again for. A dead letter that comes of
it keeps this header, and so is the same dead letter with a higher attempt."""

OWN = frozenset(
    {
        CODE,
        DETAIL,
        SOURCE_TOPIC,
        SOURCE_PARTITION,
        SOURCE_OFFSET,
        SOURCE_INDEX,
        FAILED_AT,
        ATTEMPT,
    }
)
"""Names of the headers that every dead letter has, once each."""

_CODES: dict[bytes, ErrorCode] = {code.encode(): code for code in get_args(ErrorCode)}
_FAILURES = re.compile(rb"[1-9][0-9]{0,8}")


def headers_of(letter: DeadLetter) -> Headers:
    """All headers of a letter: the original ones, then ours as UTF-8 text."""
    origin = letter.message.origin
    ours = {
        CODE: letter.code,
        DETAIL: letter.detail,
        SOURCE_TOPIC: origin.topic,
        SOURCE_PARTITION: str(origin.partition),
        SOURCE_OFFSET: str(origin.offset),
        SOURCE_INDEX: str(letter.index),
        FAILED_AT: letter.failed_at.isoformat().replace("+00:00", "Z"),
        ATTEMPT: str(letter.attempt),
    }
    added = tuple((name, text.encode()) for name, text in ours.items())
    return (*(header for header in letter.message.headers if header[0] not in OWN), *added)


def dead_letter_in(message: Message) -> DeadLetter | None:
    """The letter that a message of the dead letters' topic holds; None if it is none of ours.

    The letter's ``message`` has no value of its own: of an array, only the element is kept.
    """
    ours = {name: content for name, content in message.headers if name in OWN}
    try:
        place = b"%b/%b:%b:%b" % (
            ours[SOURCE_TOPIC],
            ours[SOURCE_PARTITION],
            ours[SOURCE_OFFSET],
            ours[SOURCE_INDEX],
        )
        identity = Identity.parse(place.decode())
        code = _CODES[ours[CODE]]
        failed_at = datetime.fromisoformat(ours[FAILED_AT].decode("ascii"))
        if failed_at.tzinfo is None:
            return None
        failed_at = in_utc(failed_at)
    except (KeyError, ValueError, OverflowError):
        return None
    others = tuple(header for header in message.headers if header[0] not in OWN)
    return DeadLetter(
        Message(identity.origin, None, message.key, message.timestamp, others),
        identity.index,
        message.value,
        code,
        ours.get(DETAIL, b"").decode(errors="replace"),
        failed_at,
        min(max(1, _failures(ours.get(ATTEMPT, b""))), MAX_ATTEMPT),
    )


def failures_before(headers: Headers) -> int:
    """How often a message with these headers had failed before, 0 where they do not say.

    Only a replay says so: a producer may have headers of such a name for reasons of its own.
    """
    told = [content for name, content in headers if name == ATTEMPT]
    if not told or replayed_identity(headers) is None:
        return 0
    return min(_failures(told[-1]), MAX_ATTEMPT - 1)


def root_of(letter: DeadLetter) -> Identity:
    """The identity of the first source message: that of a dead letter through all its attempts."""
    root = replayed_identity(letter.message.headers)
    if root is None or letter.index == 0:
        return root or letter.identity
    # A whole message that could not be decoded before, and can be now, fails in its elements.
    return Identity(root.origin, letter.index) if root.index == 0 else letter.identity


def headers_of_replay(letter: DeadLetter) -> Headers:
    """The headers with which a dead letter's message is sent again.

    Its original ones, how often it has failed, and its root.
    """
    kept = (h for h in letter.message.headers if h[0] not in OWN and h[0] != REPLAY_OF)
    attempt, root = str(letter.attempt).encode(), str(root_of(letter)).encode()
    return (*kept, (ATTEMPT, attempt), (REPLAY_OF, root))


def replayed_identity(headers: Headers) -> Identity | None:
    """The root that a message with these headers was sent again for; None if for none."""
    told = [content for name, content in headers if name == REPLAY_OF]
    try:
        return Identity.parse(told[-1].decode()) if told else None
    except ValueError:
        return None


def _failures(digits: bytes) -> int:
    return int(digits) if _FAILURES.fullmatch(digits) else 0
