"""The audit of the drills finds each kind of harm: a count that cannot be wrong proves nothing."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import confluent_kafka
import pytest

from drills.audit import Tally, audit
from drills.expectations import Document, Good, Ledger, bad
from drills.stored import as_stored
from tests.unit.domain.order.reference import REFERENCE

BROKEN = b'{"order_uid": 1}'


@dataclass
class FakeMessage:
    """What librdkafka's messages offer, as far as it is used."""

    place: tuple[str, int, int]
    body: bytes | None
    headings: list[tuple[str, bytes]] = field(default_factory=list)
    name: bytes | None = b"key"
    stamp: int = 1_000

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.place[2]

    def value(self) -> bytes | None:
        return self.body

    def key(self) -> bytes | None:
        return self.name

    def headers(self) -> list[tuple[str, bytes]]:
        return self.headings

    def timestamp(self) -> tuple[int, int]:
        return 1, self.stamp


def document(uid: str, **changes: Any) -> Document:
    return copy.deepcopy(REFERENCE) | {"order_uid": uid} | changes


def dead_letter(
    offset: int, body: bytes | None, code: str, detail: str, index: int = 0
) -> FakeMessage:
    ours = {
        "error-code": code,
        "error-detail": detail,
        "source-topic": "orders",
        "source-partition": "0",
        "source-offset": str(offset),
        "source-index": str(index),
    }
    return FakeMessage(
        ("orders.dlq", 0, 0),
        body,
        [(f"orders-{name}", text.encode()) for name, text in ours.items()],
    )


class World:
    """All is well: a good order, one that came twice, a broken one, and a conflict in an array."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.messages: list[FakeMessage] = []
        self.orders: dict[str, Document] = {}
        first, second, other = document("a"), document("b"), document("b", entry="other")
        self._send(json.dumps(first).encode(), [Good(first)])
        self._send(json.dumps(second).encode(), [Good(second)])
        self._send(json.dumps(second, indent=1).encode(), [Good(second)])
        self._send(BROKEN, [bad(BROKEN, "invalid", detail="expected str")])
        self.conflict = json.dumps(other).encode()
        self._send(
            b"[" + self.conflict + b"," + json.dumps(first).encode() + b"]",
            [Good(other), Good(first)],
        )
        for stored in (first, second):
            self.orders[stored["order_uid"]] = as_stored(stored)
        self.dead_letters = [
            dead_letter(3, BROKEN, "invalid", "$.order_uid: expected str, got int"),
            dead_letter(4, self.conflict, "conflict", "$[0]: another order"),
        ]
        self.committed = [5]

    def _send(self, body: bytes, expected: Sequence[Any]) -> None:
        self.ledger.expect(body, expected)
        self.ledger.acknowledged(body)
        self.messages.append(FakeMessage(("orders", 0, len(self.messages)), body))

    def audit(self) -> Tally:
        return audit(
            cast("list[confluent_kafka.Message]", self.messages),
            cast("list[confluent_kafka.Message]", self.dead_letters),
            self.orders,
            self.committed,
            self.ledger,
        )


def test_all_is_well() -> None:
    tally = World().audit()
    assert tally.is_kept, tally.findings
    assert (tally.sent, tally.stored, tally.dead, tally.repeated, tally.held) == (6, 2, 2, 2, 0)


def test_a_dead_letter_that_was_written_twice_counts_once() -> None:
    world = World()
    world.dead_letters += [copy.deepcopy(each) for each in world.dead_letters]
    tally = world.audit()
    assert tally.is_kept
    assert tally.dead == 2


def test_what_is_not_committed_is_held_and_not_lost() -> None:
    world = World()
    world.committed = [3]
    world.dead_letters.clear()
    tally = world.audit()
    assert tally.is_kept, tally.findings
    assert tally.held == 3


def _no_order(world: World) -> None:
    del world.orders["a"]


def _no_dead_letter(world: World) -> None:
    world.dead_letters.pop(0)


def _no_conflict_dead_letter(world: World) -> None:
    world.dead_letters.pop(1)


def _vanished_message(world: World) -> None:
    world.messages.pop(3)
    world.dead_letters.pop(0)


def _no_payment(world: World) -> None:
    del world.orders["a"]["payment"]


def _one_item_less(world: World) -> None:
    world.orders["a"]["items"].pop()


def _an_item_twice(world: World) -> None:
    world.orders["a"]["items"] *= 2


def _changed_text(world: World) -> None:
    world.orders["b"]["delivery"]["city"] += " "


def _unknown_order(world: World) -> None:
    world.orders["c"] = world.orders["a"] | {"order_uid": "c"}


def _stored_and_dead(world: World) -> None:
    world.dead_letters.append(dead_letter(0, world.messages[0].body, "invalid", "$: expected str"))


def _conflict_without_one(world: World) -> None:
    world.dead_letters.append(
        dead_letter(2, world.messages[2].body, "conflict", "$: another order")
    )


def _wrong_code(world: World) -> None:
    world.dead_letters[0] = dead_letter(
        3, BROKEN, "undecodable", "$.order_uid: expected str, got int"
    )


def _wrong_detail(world: World) -> None:
    world.dead_letters[0] = dead_letter(3, BROKEN, "invalid", "$.order_uid: is required")


def _changed_bytes(world: World) -> None:
    world.dead_letters[0].body = BROKEN + b" "


def _changed_bytes_of_a_conflict(world: World) -> None:
    world.dead_letters[1].body = world.conflict + b"!"


def _other_key(world: World) -> None:
    world.dead_letters[0].name = None


def _other_timestamp(world: World) -> None:
    world.dead_letters[0].stamp += 1


def _without_headers(world: World) -> None:
    world.messages[3].headings = [("trace", b"1")]


def _dead_letter_of_nothing(world: World) -> None:
    world.dead_letters.append(dead_letter(9, BROKEN, "invalid", "$.order_uid: expected str"))


def _two_dead_letters_that_differ(world: World) -> None:
    world.dead_letters.append(
        dead_letter(3, BROKEN + b" ", "invalid", "$.order_uid: expected str, got int")
    )


def _two_dead_letters_with_other_reasons(world: World) -> None:
    world.dead_letters.append(dead_letter(3, BROKEN, "empty", "$: must not be empty"))


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (_no_order, "lost"),
        (_no_dead_letter, "lost"),
        (_no_conflict_dead_letter, "lost"),
        (_vanished_message, "lost"),
        (_no_payment, "half"),
        (_one_item_less, "half"),
        (_an_item_twice, "half"),
        (_changed_text, "half"),
        (_unknown_order, "half"),
        (_stored_and_dead, "doubled"),
        (_conflict_without_one, "doubled"),
        (_wrong_code, "untrue"),
        (_wrong_detail, "untrue"),
        (_changed_bytes, "untrue"),
        (_changed_bytes_of_a_conflict, "untrue"),
        (_other_key, "untrue"),
        (_other_timestamp, "untrue"),
        (_without_headers, "untrue"),
        (_dead_letter_of_nothing, "untrue"),
        (_two_dead_letters_that_differ, "untrue"),
        (_two_dead_letters_with_other_reasons, "untrue"),
    ],
)
def test_each_harm_is_found(harm: Callable[[World], None], kind: str) -> None:
    world = World()
    harm(world)
    tally = world.audit()
    assert not tally.is_kept
    assert getattr(tally, kind) >= 1, tally.findings
    assert tally.findings
