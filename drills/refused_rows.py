"""Group 6: orders that are valid, and that PostgreSQL alone refuses."""

import json
from collections.abc import Callable

import psycopg

from drills.drill import drill
from drills.expectations import Bad, Document, Good, bad
from drills.stage import Stage
from drills.undisturbed import undisturbed

STRICTER = (
    "ALTER TABLE payments ADD CONSTRAINT drill_bank CHECK (bank <> 'refused')",
    # An index of an operator's own: texts of more than 2,704 bytes do not fit in.
    "CREATE INDEX drill_address ON delivery (address)",
    # One over an expression that is not defined everywhere.
    "CREATE INDEX drill_sale ON items ((1000 / (sale + 999)))",
)
"""What an operator may do to the database, each with errors of another class: 23, 54, 22."""

AMONG = 500

Spoil = Callable[[Stage, Document], tuple[Document, str]]


@drill(6, "rows that only the database refuses, among 500 that it takes")
def refused_rows(stage: Stage) -> None:
    """One of each kind, several at once, nothing else: exactly those are dead letters."""
    with psycopg.connect(stage.dsn) as connection:
        for statement in STRICTER:
            connection.execute(statement.encode())
    with undisturbed(stage, 90):
        for _ in range(5 if stage.long else 1):
            for spoil in _SPOILS:
                _send_array(stage, AMONG, [spoil])
            _send_array(stage, AMONG, [*_SPOILS, *_SPOILS, *_SPOILS])
            _send_array(stage, 0, [*_SPOILS] * 20)
            _send_apart(stage)
            _send_one_uid(stage)


def _check(stage: Stage, order: Document) -> tuple[Document, str]:
    payment = order["payment"] | {"bank": "refused"}
    return order | {"payment": payment}, r"\(23514\), table payments, constraint drill_bank$"


def _index_row(stage: Stage, order: Document) -> tuple[Document, str]:
    # Without patterns: what can be compressed would fit.
    delivery = order["delivery"] | {"address": f"{stage.rng.getrandbits(40_000):x}"}
    return order | {"delivery": delivery}, r"\(54000\)"


def _expression(stage: Stage, order: Document) -> tuple[Document, str]:
    items = [*order["items"], order["items"][0] | {"sale": -999}]
    return order | {"items": items}, r"\(22012\)"


_SPOILS: tuple[Spoil, ...] = (_check, _index_row, _expression)


def _send_array(stage: Stage, good: int, spoils: list[Spoil]) -> None:
    """All in one message, so that they are in one batch for sure."""
    documents: list[tuple[Document, str | None]] = []
    documents += [(order, None) for order in stage.traffic.orders(good)]
    for spoil in spoils:
        [order] = stage.traffic.orders(1)
        documents.insert(stage.rng.randint(0, len(documents)), spoil(stage, order))
    raws = [json.dumps(document).encode() for document, _ in documents]
    expected: list[Good | Bad] = []
    for index, (document, why) in enumerate(documents):
        expected.append(Good(document) if why is None else _rejected(raws[index], index, why))
    stage.traffic.send(b"[" + b",".join(raws) + b"]", expected)


def _send_apart(stage: Stage) -> None:
    """Each a message of its own, at once and to one partition."""
    orders = stage.traffic.orders(AMONG + 2)
    spoilt, why = _check(stage, orders.pop())
    raw = json.dumps(spoilt).encode()
    at = stage.rng.randrange(len(orders))
    with stage.traffic.through(linger_ms=200):
        for index, order in enumerate(orders):
            if index == at:
                stage.traffic.send(raw, [_rejected(raw, None, why)], partition=2)
            stage.traffic.send_order(order, partition=2)


def _send_one_uid(stage: Stage) -> None:
    """A row that is refused does not stand in the way of another with its uid."""
    [order] = stage.traffic.orders(1)
    spoilt, why = _check(stage, order)
    raws = [json.dumps(document).encode() for document in (spoilt, order, spoilt)]
    expected: list[Good | Bad] = [_rejected(raws[0], 0, why), Good(order, raws[1])]
    expected.append(_rejected(raws[2], 2, why))
    stage.traffic.send(b"[" + b",".join(raws) + b"]", expected)


def _rejected(raw: bytes, index: int | None, why: str) -> Bad:
    place = r"^\$" if index is None else rf"^\$\[{index}\]"
    return bad(raw, "rejected", detail=f"{place}: PostgreSQL refuses it: .*{why}")


DRILLS = (refused_rows,)
