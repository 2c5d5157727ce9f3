"""Group 6: the same order again, and other orders under the same uid."""

import copy
import json
from typing import Any

from drills.drill import drill
from drills.expectations import Bad, Document, Good, bad
from drills.stage import Stage
from drills.undisturbed import undisturbed

STORED = "another order with this order_uid is stored, with other content$"


@drill(6, "equal and different orders with one uid: in a message, a batch, across partitions")
def duplicates(stage: Stage) -> None:
    """Equal ones change nothing. Of different ones that meet, one is stored; of later ones none."""
    with undisturbed(stage, 60):
        for _ in range(20 if stage.long else 3):
            _in_one_message(stage)
            _in_one_batch(stage)
            _across_partitions(stage)
        stage.traffic.flush()
        stage.wait_for_lag(30)
        _with_what_is_stored(stage)


def _in_one_message(stage: Stage) -> None:
    order, neighbour = stage.traffic.orders(2)
    documents = [_without_payment(order), order, *_same(order), *_others(order), neighbour]
    raws = [json.dumps(document).encode() for document in documents]
    expected: list[Good | Bad] = []
    for index, (document, raw) in enumerate(zip(documents, raws, strict=True)):
        place = rf"^\$\[{index}\]"
        if "payment" not in document:
            expected.append(bad(raw, "invalid", detail=rf"{place}\.payment: is required$"))
        elif document in _others(order):
            expected.append(bad(raw, "conflict", detail=f"{place}: {STORED}"))
        else:
            expected.append(Good(document, raw))
    stage.traffic.send(b"[" + b" ,".join(raws) + b"]", expected)


def _in_one_batch(stage: Stage) -> None:
    [order] = stage.traffic.orders(1)
    with stage.traffic.through(linger_ms=100):
        _send(stage, order, conflict=False, partition=1)
        for same, other in zip(_same(order), _others(order), strict=False):
            _send(stage, same, conflict=False, partition=1)
            _send(stage, other, conflict=True, partition=1)


def _across_partitions(stage: Stage) -> None:
    """Which one of several comes first is not said, so any may be the one that is stored."""
    equal, hot = stage.traffic.orders(2)
    for partition in range(stage.partitions):
        for document in (equal, *_same(equal)):
            _send(stage, document, conflict=False, partition=partition)
        for document in (hot, *_others(hot)):
            _send(stage, document, conflict=False, partition=partition)


def _with_what_is_stored(stage: Stage) -> None:
    orders = stage.traffic.orders(200)
    for order in orders:
        _send(stage, order, conflict=False, partition=0)
    stage.traffic.flush()
    stage.wait_for_lag(30)
    for order in orders:
        partition = stage.rng.randrange(stage.partitions)
        _send(stage, stage.rng.choice(_others(order)), conflict=True, partition=partition)
        _send(stage, stage.rng.choice(_same(order)), conflict=False, partition=partition)


def _send(stage: Stage, document: Document, *, conflict: bool, partition: int) -> None:
    raw = json.dumps(document, indent=stage.rng.choice([None, 1])).encode()
    conflicts = bad(raw, "conflict", detail=rf"^\$: {STORED}")
    expected = conflicts if conflict else Good(document, raw)
    stage.traffic.send(raw, [expected], partition=partition)


def _same(order: Document) -> list[Document]:
    """The same order, written otherwise."""
    nullable = {name: value or None for name, value in order.items()}
    dialect = {name: value for name, value in order.items() if name != "oof_shard"}
    date = order["date_created"].replace("Z", "-00:00")
    return [
        dict(reversed(order.items())),
        nullable | {"items": order["items"], "sm_id": order["sm_id"]},
        dialect | {"status": order["oof_shard"]},
        order | {"date_created": date, "unknown": [{"order_uid": 1}]},
    ]


def _others(order: Document) -> list[Document]:
    """Other orders with the same uid, each by as little as possible."""

    def changed(*path: Any, value: Any) -> Document:
        document = copy.deepcopy(order)
        place: Any = document
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        return document

    bank, entry = order["payment"]["bank"], order["entry"]
    whole, _, _ = order["date_created"].rstrip("Z").partition(".")
    return [
        changed("payment", "bank", value=f"{bank} "),
        changed("items", value=[*order["items"], order["items"][0]]),
        changed("items", 0, "status", value=order["items"][0]["status"] + 1),
        changed("date_created", value=f"{whole}.999999Z"),
        changed("entry", value=f"{entry}e\u0301"),
        changed("entry", value=f"{entry}\u00e9"),
    ]


def _without_payment(order: Document) -> Document:
    return {name: value for name, value in order.items() if name != "payment"}


DRILLS = (duplicates,)
