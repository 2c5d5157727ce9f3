"""The headers of dead letters and of replayed messages.

Other tools rely on these names. A dead letter has the original headers of its message, then ours.
An original header with one of our names is replaced: it is left over from an earlier failure of
the same message.
"""

import re
from datetime import datetime
from typing import get_args

from msgspec.structs import replace

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
SOURCE_TIMESTAMP = "orders-source-timestamp"
"""The record's own timestamp is no measure: its topic may set it, or refuse the original one."""
FAILED_AT = "orders-failed-at"
ATTEMPT = "orders-attempt"
"""On a dead letter: the number of this failure. On a message: how often it has failed before."""
REPLAY_OF = "orders-replay-of"
"""On a message: the root of the dead letter that was replayed. If the message fails again, its dead
letter keeps this header, and so is the same dead letter with a higher attempt, if its content is
that of the root: any producer can send this header."""

OWN = frozenset(
    {
        CODE,
        DETAIL,
        SOURCE_TOPIC,
        SOURCE_PARTITION,
        SOURCE_OFFSET,
        SOURCE_INDEX,
        SOURCE_TIMESTAMP,
        FAILED_AT,
        ATTEMPT,
    }
)
"""Names of the headers that every dead letter has exactly once."""

OMITTED = "orders-omitted"
"""On a dead letter without key, value and original headers, which could not be kept: in how many
messages of the source topic they are, from the source offset on."""

_OURS = OWN | {OMITTED}

MOST_ORIGINAL = 9_900
"""Original headers that a dead letter keeps; of more it has none. With ours, a message has fewer
than are read."""

_CODES: dict[bytes, ErrorCode] = {code.encode(): code for code in get_args(ErrorCode)}
_TIMESTAMP = re.compile(rb"-?[0-9]{1,19}")
_NUMBER = re.compile(rb"[1-9][0-9]{0,8}")


def headers_of(dead_letter: DeadLetter) -> Headers:
    """Return all headers of a dead letter: the original ones, then ours."""
    origin = dead_letter.message.origin
    ours = {
        CODE: dead_letter.code,
        DETAIL: dead_letter.detail,
        SOURCE_TOPIC: origin.topic,
        SOURCE_PARTITION: str(origin.partition),
        SOURCE_OFFSET: str(origin.offset),
        SOURCE_INDEX: str(dead_letter.index),
        SOURCE_TIMESTAMP: str(dead_letter.message.timestamp),
        FAILED_AT: dead_letter.failed_at.isoformat().replace("+00:00", "Z"),
        ATTEMPT: str(dead_letter.attempt),
    }
    if dead_letter.omitted:
        ours[OMITTED] = str(dead_letter.omitted)
    added = tuple((name, text.encode()) for name, text in ours.items())
    original = [header for header in dead_letter.message.headers if header[0] not in _OURS]
    if len(original) > MOST_ORIGINAL:
        original = [header for header in original if header[0] == REPLAY_OF]
    return (*original, *added)


def without_content(dead_letter: DeadLetter) -> DeadLetter:
    """Return it without key, value and headers, for a topic that does not take it with them.

    Its number of attempts goes too: nobody can replay it.
    """
    message = replace(dead_letter.message, key=None, value=None, headers=())
    return replace(dead_letter, message=message, value=None, attempt=1, omitted=1)


def substitute_key(dead_letter: DeadLetter) -> bytes:
    """The key to write where the topic takes no message without one; read as no key again."""
    return str(dead_letter.identity).encode()


def dead_letter_in(message: Message) -> DeadLetter | None:
    """Parse a message of the topic of dead letters; returns None if it is not one of ours.

    The ``message`` of the result has no value, since only the failed element of an array is stored.
    """
    ours = {name: content for name, content in message.headers if name in _OURS}
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
    others = tuple(header for header in message.headers if header[0] not in _OURS)
    key = None if message.key == str(identity).encode() else message.key
    sent_at = ours.get(SOURCE_TIMESTAMP, b"")
    timestamp = int(sent_at) if _TIMESTAMP.fullmatch(sent_at) else message.timestamp
    return DeadLetter(
        Message(identity.origin, None, key, timestamp, others),
        identity.index,
        message.value,
        code,
        ours.get(DETAIL, b"").decode(errors="replace"),
        failed_at,
        min(max(1, _number(ours.get(ATTEMPT, b""))), MAX_ATTEMPT),
        _number(ours.get(OMITTED, b"")),
    )


def failures_before(headers: Headers) -> int:
    """Return how often a message with these headers has failed before.

    This counts only on replayed messages; a producer may use a header of this name for itself.
    """
    attempts = [content for name, content in headers if name == ATTEMPT]
    if not attempts or replayed_identity(headers) is None:
        return 0
    return min(_number(attempts[-1]), MAX_ATTEMPT - 1)


def root_of(dead_letter: DeadLetter) -> Identity:
    """Return the identity of the first source message, which all attempts have in common.

    Of a record as it was read, that is what its message claims; see ``DeadLetterIndex.settle``.
    """
    root = replayed_identity(dead_letter.message.headers)
    if root is None or dead_letter.index == 0:
        return root or dead_letter.identity
    # The message as a whole was undecodable before; now single elements of it fail.
    return Identity(root.origin, dead_letter.index) if root.index == 0 else dead_letter.identity


def as_settled(dead_letter: DeadLetter, root: Identity, attempt: int) -> DeadLetter:
    """Return it with this attempt, and without its claim to be a replay unless ``root`` is that."""
    message = dead_letter.message
    if root_of(dead_letter) != root:
        own = tuple(header for header in message.headers if header[0] != REPLAY_OF)
        message = replace(message, headers=own)
    return replace(dead_letter, message=message, attempt=attempt)


def headers_of_replay(dead_letter: DeadLetter) -> Headers:
    """Return the headers of a replay: the original ones, the number of failures, and the root."""
    original = (h for h in dead_letter.message.headers if h[0] not in _OURS and h[0] != REPLAY_OF)
    attempt, root = str(dead_letter.attempt).encode(), str(root_of(dead_letter)).encode()
    return (*original, (ATTEMPT, attempt), (REPLAY_OF, root))


def replayed_identity(headers: Headers) -> Identity | None:
    """Return the root in the headers of a replayed message, or None for any other message."""
    roots = [content for name, content in headers if name == REPLAY_OF]
    try:
        return Identity.parse(roots[-1].decode()) if roots else None
    except ValueError:
        return None


def _number(digits: bytes) -> int:
    return int(digits) if _NUMBER.fullmatch(digits) else 0
