"""Group 6: valid orders that only PostgreSQL rejects."""

import json
from collections.abc import Callable

import psycopg

from drills.drill import drill
from drills.expectations import Bad, Document, Good, bad
from drills.stage import Stage
from drills.undisturbed import undisturbed

STRICTER = (
    "ALTER TABLE payments ADD CONSTRAINT drill_bank CHECK (bank <> 'refused')",
    # An operator's own index, which does not accept texts of more than 2,704 bytes.
    "CREATE INDEX drill_address ON delivery (address)",
    # An index over an expression that fails for some values.
    "CREATE INDEX drill_sale ON items ((1000 / (sale + 999)))",
)
"""Changes that an operator may make; they cause errors of the classes 23, 54 and 22."""

AMONG = 500

Invalidate = Callable[[Stage, Document], tuple[Document, str]]


@drill(6, "rows that only the database refuses, among 500 that it takes")
def refused_rows(stage: Stage) -> None:
    """Alone, several at once, or only such: exactly these become dead letters."""
    with psycopg.connect(stage.dsn) as connection:
        for statement in STRICTER:
            connection.execute(statement.encode())
    with undisturbed(stage, 90):
        for _ in range(5 if stage.long else 1):
            for invalidate in _INVALID:
                _send_array(stage, AMONG, [invalidate])
            _send_array(stage, AMONG, [*_INVALID, *_INVALID, *_INVALID])
            _send_array(stage, 0, [*_INVALID] * 20)
            _send_apart(stage)
            _send_one_uid(stage)


def _check(stage: Stage, order: Document) -> tuple[Document, str]:
    payment = order["payment"] | {"bank": "refused"}
    return order | {"payment": payment}, r"\(23514\), table payments, constraint drill_bank$"


def _index_row(stage: Stage, order: Document) -> tuple[Document, str]:
    # Random, since it would fit if it could be compressed.
    delivery = order["delivery"] | {"address": f"{stage.rng.getrandbits(40_000):x}"}
    return order | {"delivery": delivery}, r"\(54000\)"


def _expression(stage: Stage, order: Document) -> tuple[Document, str]:
    items = [*order["items"], order["items"][0] | {"sale": -999}]
    return order | {"items": items}, r"\(22012\)"


_INVALID: tuple[Invalidate, ...] = (_check, _index_row, _expression)


def _send_array(stage: Stage, good: int, kinds: list[Invalidate]) -> None:
    """Send all in one message, so that they are in one batch."""
    documents: list[tuple[Document, str | None]] = []
    documents += [(order, None) for order in stage.traffic.orders(good)]
    for invalidate in kinds:
        [order] = stage.traffic.orders(1)
        documents.insert(stage.rng.randint(0, len(documents)), invalidate(stage, order))
    raws = [json.dumps(document).encode() for document, _ in documents]
    expected: list[Good | Bad] = []
    for index, (document, why) in enumerate(documents):
        expected.append(Good(document) if why is None else _rejected(raws[index], index, why))
    stage.traffic.send(b"[" + b",".join(raws) + b"]", expected)


def _send_apart(stage: Stage) -> None:
    """Send each as a message of its own, at once and to one partition."""
    orders = stage.traffic.orders(AMONG + 2)
    invalid, why = _check(stage, orders.pop())
    raw = json.dumps(invalid).encode()
    at = stage.rng.randrange(len(orders))
    with stage.traffic.through(linger_ms=200):
        for index, order in enumerate(orders):
            if index == at:
                stage.traffic.send(raw, [_rejected(raw, None, why)], partition=2)
            stage.traffic.send_order(order, partition=2)


def _send_one_uid(stage: Stage) -> None:
    """Send a valid order between rejected ones with the same uid; it is stored."""
    [order] = stage.traffic.orders(1)
    invalid, why = _check(stage, order)
    raws = [json.dumps(document).encode() for document in (invalid, order, invalid)]
    expected: list[Good | Bad] = [_rejected(raws[0], 0, why), Good(order, raws[1])]
    expected.append(_rejected(raws[2], 2, why))
    stage.traffic.send(b"[" + b",".join(raws) + b"]", expected)


def _rejected(raw: bytes, index: int | None, why: str) -> Bad:
    place = r"^\$" if index is None else rf"^\$\[{index}\]"
    return bad(raw, "rejected", detail=f"{place}: PostgreSQL refuses it: .*{why}")


DRILLS = (refused_rows,)
