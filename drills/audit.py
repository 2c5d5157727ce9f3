"""What became of every document: the invariant that each drill is held to.

The source topic itself says what was sent; PostgreSQL's tables, the dead letters and the group's
offsets say what became of it. Nothing here uses the product's code.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import Message

from drills.expectations import Bad, Document, Good, Ledger
from drills.stored import as_stored

MAX_FINDINGS = 10
"""The most findings that are described."""


class Identity(NamedTuple):
    """Of a dead letter: the place of the element it holds."""

    topic: str
    partition: int
    offset: int
    position: int


@dataclass
class Tally:
    """Numbers of documents; ``repeated`` are those whose very order came more than once.

    ``lost``: neither stored nor a dead letter, though the group has committed past it, or the
    brokers no longer have what they acknowledged. ``half``: stored, but not as it was sent.
    ``doubled``: stored and a dead letter. ``untrue``: a dead letter with a false reason, changed
    bytes or of nothing that was sent. ``held``: uncommitted, so it will come again.
    """

    sent: int = 0
    stored: int = 0
    dead: int = 0
    repeated: int = 0
    held: int = 0
    lost: int = 0
    half: int = 0
    doubled: int = 0
    untrue: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether the invariant holds."""
        return not (self.lost or self.half or self.doubled or self.untrue)

    def note(self, kind: str, text: str) -> None:
        """Count a violation, and describe the first ones."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(f"{kind}: {text}")


class _Sent(NamedTuple):
    identity: Identity
    message: Message
    expected: Good | Bad


def audit(
    messages: Iterable[Message],
    dead_letters: Iterable[Message],
    orders: dict[str, Document],
    committed: Sequence[int],
    ledger: Ledger,
) -> Tally:
    """Hold all messages of the source topic against what became of them.

    ``dead_letters``: all dead letters; ``orders``: as returned by ``read_orders``; ``committed``:
    the group's offset of each partition of the source topic. Nothing may be in progress.
    """
    tally = Tally()
    documents = list(_documents(messages, ledger))
    tally.sent = len(documents)
    # More than were acknowledged is fine: an acknowledgement may be lost on its way.
    for _ in range(ledger.sent - len(documents)):
        tally.note("lost", "acknowledged, and not on the topic any more")
    by_identity = _dead_letters(dead_letters, tally)
    tally.dead = len(by_identity)
    tally.stored = len(orders)
    _judge_orders(orders, documents, tally)
    judge = _Judge(tally, orders, committed)
    for sent in documents:
        judge.judge(sent, by_identity.pop(sent.identity, None))
    for identity in by_identity:
        tally.note("untrue", f"a dead letter of {identity}, where no document was sent")
    return tally


def _judge_orders(orders: dict[str, Document], documents: Iterable[_Sent], tally: Tally) -> None:
    contents: dict[str, list[Document]] = defaultdict(list)
    for sent in documents:
        if isinstance(sent.expected, Good):
            contents[sent.expected.document["order_uid"]].append(as_stored(sent.expected.document))
    for uid, order in orders.items():
        if order not in contents[uid]:
            tally.note("half", f"order {uid!r} is stored other than it was sent")


class _Judge:
    """Of one document after the other, in the order of their partitions."""

    def __init__(self, tally: Tally, orders: dict[str, Document], committed: Sequence[int]) -> None:
        self._tally = tally
        self._orders = orders
        self._committed = committed
        self._seen: set[str] = set()

    def judge(self, sent: _Sent, dead_letter: Message | None) -> None:
        """Count this document by what became of it; ``dead_letter`` is its dead letter, if any."""
        self._tally.held += not self._is_committed(sent)
        if isinstance(sent.expected, Bad):
            self._judge_bad(sent, sent.expected, dead_letter)
        else:
            self._judge_good(sent, sent.expected, dead_letter)
        if dead_letter is not None:
            self._judge_dead_letter(sent, dead_letter)

    def _judge_good(self, sent: _Sent, expected: Good, dead_letter: Message | None) -> None:
        uid = expected.document["order_uid"]
        order = self._orders.get(uid)
        if order == as_stored(expected.document):
            self._tally.repeated += uid in self._seen
            self._seen.add(uid)
            if dead_letter is not None:
                self._tally.note("doubled", f"{sent.identity} is stored and a dead letter")
        elif dead_letter is None:
            if self._is_committed(sent):
                self._tally.note("lost", f"{sent.identity} is neither stored nor a dead letter")
        elif order is None or _header(dead_letter, "error-code") != "conflict":
            reason = f"{_header(dead_letter, 'error-code')}: {_header(dead_letter, 'error-detail')}"
            self._tally.note("untrue", f"{sent.identity} is valid, and a dead letter: {reason}")
        elif _value(dead_letter) not in _value(sent.message) or (
            expected.raw is not None and _value(dead_letter) != expected.raw
        ):
            self._tally.note("untrue", f"{sent.identity} is a dead letter with other bytes")

    def _judge_bad(self, sent: _Sent, expected: Bad, dead_letter: Message | None) -> None:
        if dead_letter is None:
            if self._is_committed(sent):
                self._tally.note("lost", f"{sent.identity} is bad, and no dead letter")
            return
        code, detail = _header(dead_letter, "error-code"), _header(dead_letter, "error-detail")
        if not expected.is_true(code, detail):
            wanted = f"{sorted(expected.codes)}, {expected.detail}"
            self._tally.note("untrue", f"{sent.identity}: {code}: {detail}; expected {wanted}")
        elif dead_letter.value() != expected.raw:
            self._tally.note("untrue", f"{sent.identity} is a dead letter with other bytes")

    def _judge_dead_letter(self, sent: _Sent, dead_letter: Message) -> None:
        """What a dead letter takes over from its message."""
        theirs: Any = dead_letter.headers() or []
        ours: Any = sent.message.headers() or []
        kept = {
            "key": dead_letter.key() == sent.message.key(),
            "timestamp": dead_letter.timestamp()[1] == sent.message.timestamp()[1],
            "headers": all((name, value or b"") in theirs for name, value in ours),
        }
        for name, is_kept in kept.items():
            if not is_kept:
                self._tally.note("untrue", f"{sent.identity} is a dead letter with other {name}")

    def _is_committed(self, sent: _Sent) -> bool:
        return sent.identity.offset < self._committed[sent.identity.partition]


def _documents(messages: Iterable[Message], ledger: Ledger) -> Iterable[_Sent]:
    for message in messages:
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
        value: Any = message.value()
        for index, expected in enumerate(ledger.expected(value)):
            yield _Sent(Identity(*place, index), message, expected)


def _dead_letters(messages: Iterable[Message], tally: Tally) -> dict[Identity, Message]:
    """By identity: the same dead letter written twice counts once, but both copies must agree."""
    found: dict[Identity, Message] = {}
    for message in messages:
        identity = Identity(
            _header(message, "source-topic"),
            int(_header(message, "source-partition")),
            int(_header(message, "source-offset")),
            int(_header(message, "source-index")),
        )
        before = found.setdefault(identity, message)
        if _said(before) != _said(message):
            tally.note("untrue", f"{identity} has two dead letters that differ")
    return found


def _said(dead_letter: Message) -> tuple[object, ...]:
    """What every copy of a dead letter has to say alike."""
    return (dead_letter.value(), dead_letter.key(), _header(dead_letter, "error-code"))


def _header(dead_letter: Message, name: str) -> str:
    headers: Any = dead_letter.headers() or []
    return str(dict(headers)[f"orders-{name}"].decode())


def _value(message: Message) -> bytes:
    value: Any = message.value()
    return value or b""
