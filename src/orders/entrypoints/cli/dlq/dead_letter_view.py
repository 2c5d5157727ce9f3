"""Formats a dead letter as text or JSON, with or without personal data."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from orders.domain.dead_letters.headers import REPLAY_OF, replayed_identity
from orders.domain.dead_letters.masking import masked, masked_header
from orders.domain.errors import Invalid
from orders.domain.use_cases.show_dead_letter import ShownDeadLetter
from orders.entrypoints.cli.dlq.terminal import escaped

_MASKED = "personal data masked; use --unmask to show it"


def dead_letter_as_text(shown: ShownDeadLetter, *, unmask: bool) -> Iterator[str]:
    """Yield the parts of a text for a terminal, without control characters."""
    facts = [f"  {name:<10} {value}" for name, value in _facts(shown, unmask=unmask)]
    for line in (f"Dead letter {shown.root}", *facts, "", *_verdict(shown), ""):
        yield from escaped(line)
        yield "\n"
    for line in _payload_lines(shown, unmask=unmask):
        yield from escaped(line, keep_lines=True)
        yield "\n"


def dead_letter_as_json(shown: ShownDeadLetter, *, unmask: bool) -> dict[str, Any]:
    """Return a dead letter for programs. Bytes are base64; masked values are null or ``<str 11>``.

    ``sent_at`` is null if it is not a valid time, and ``payload`` if it cannot be masked.
    """
    dead_letter, root = shown.dead_letter, shown.root
    value = dead_letter.value or b""
    parent = replayed_identity(dead_letter.message.headers)
    sent_at = _sent_at(dead_letter.message.timestamp)
    return {
        "identity": str(root),
        "topic": root.origin.topic,
        "partition": root.origin.partition,
        "offset": root.origin.offset,
        "index": root.index,
        "source": str(dead_letter.identity),
        "code": dead_letter.code,
        "detail": dead_letter.detail,
        "failed_at": dead_letter.failed_at.isoformat(),
        "attempt": dead_letter.attempt,
        "state": shown.state,
        "replayed_at": shown.replayed_at and shown.replayed_at.isoformat(),
        "replay_of": parent and str(parent),
        "copies": shown.copies,
        "sent_at": sent_at and sent_at.isoformat(),
        "key": _base64(dead_letter.message.key) if unmask else None,
        "headers": [
            {
                "name": _name(name, unmask=unmask),
                "bytes": len(content),
                "value": _base64(content) if unmask else None,
            }
            for name, content in dead_letter.message.headers
        ],
        "valid_now": not shown.faults and shown.orders > 0,
        "code_now": shown.code_now,
        "faults": [{"path": f.json_path, "rule": f.rule} for f in shown.faults],
        "omitted": dead_letter.omitted,
        "bytes": None if dead_letter.value is None else len(value),
        "sha256": hashlib.sha256(value).hexdigest(),
        "masked": not unmask,
        "payload": None if unmask else _masked_or_none(shown),
        "raw": _base64(dead_letter.value) if unmask else None,
    }


def _facts(shown: ShownDeadLetter, *, unmask: bool) -> list[tuple[str, str]]:
    dead_letter, message = shown.dead_letter, shown.dead_letter.message
    sent_at = _sent_at(message.timestamp)
    state: str = shown.state
    if shown.replayed_at:
        state += f" at {_time(shown.replayed_at)}"
    facts = [
        ("code", dead_letter.code),
        ("detail", dead_letter.detail),
        ("failed at", _time(dead_letter.failed_at)),
        ("attempt", str(dead_letter.attempt)),
        ("state", state),
        ("sent at", _time(sent_at) if sent_at else str(message.timestamp)),
        ("copies", str(shown.copies)),
        ("key", _bytes(message.key, unmask=unmask)),
    ]
    if dead_letter.identity != shown.root:
        facts.append(("source", str(dead_letter.identity)))
    facts += [
        ("header", f"{_name(name, unmask=unmask)} = {_bytes(content, unmask=unmask)}")
        for name, content in message.headers
        if name != REPLAY_OF
    ]
    return facts


def _verdict(shown: ShownDeadLetter) -> list[str]:
    if shown.dead_letter.omitted:
        return ["It cannot be judged or replayed without its content: have it sent again."]
    if shown.faults:
        return [
            f"By the current rules it is wrong ({shown.code_now}):",
            *(f"  {fault}" for fault in shown.faults),
        ]
    if not shown.orders:
        return ["By the current rules nothing is wrong, but it contains no order."]
    verdict = "By the current rules it is valid."
    if shown.dead_letter.code in ("conflict", "rejected"):
        verdict += " Its code says why it was not stored."
    return [verdict]


def _payload_lines(shown: ShownDeadLetter, *, unmask: bool) -> list[str]:
    value = shown.dead_letter.value
    if omitted := shown.dead_letter.omitted:
        origin = shown.dead_letter.message.origin
        last = f" to {origin.offset + omitted - 1}" if omitted > 1 else ""
        place = f"partition {origin.partition} at offset {origin.offset}{last}"
        return [f"Payload: not kept; it is on topic {origin.topic}, {place}, until that deletes it"]
    if value is None:
        return ["Payload: none (a tombstone)"]
    heading = f"Payload: {len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()}"
    if not value:
        return [heading]
    if unmask:
        return [heading, value.decode(errors="backslashreplace")]
    seen = _masked_or_none(shown)
    if seen is None:
        # Without its structure, any part of it may be personal data.
        return [heading, "  (cannot be masked and is not shown; use --unmask or --raw)"]
    return [f"{heading} ({_MASKED})", json.dumps(seen, indent=2, ensure_ascii=False)]


def _masked_or_none(shown: ShownDeadLetter) -> Any:
    if shown.code_now in ("undecodable", "excessive", "empty"):
        return None
    try:
        return masked(shown.dead_letter.value or b"")
    except Invalid:
        return None


def _name(name: str, *, unmask: bool) -> str:
    return name if unmask else masked_header(name)


def _bytes(content: bytes | None, *, unmask: bool) -> str:
    if content is None:
        return "none"
    if unmask:
        return content.decode(errors="backslashreplace")
    return f"<{len(content)} bytes>"


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")


def _sent_at(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # a producer may send any number
        return None
