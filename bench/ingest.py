"""From a backlog in the topic to committed rows, beside server-side COPY of the same rows."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.documents import Made, digests, make, other_content, rows, write
from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.plain import PLAIN, is_here, plain_consumer
from bench.product import consumer
from bench.watching import Pace, pace
from drills.expectations import Document
from drills.stored import as_stored, read_orders

ROW = "ingest"
COPY = "COPY"
_UNIT = "orders/s"
_CONFLICT_EVERY = 100
_CLOCK = "from the first rows that are seen to the last; the first batch is not counted"


class _Task(NamedTuple):
    """A backlog, and what is to be stored once it is dealt with.

    Attributes:
        topic: holds the backlog.
        messages: how many.
        uids: of the orders that are new, in their order.
        base: rows that are stored before, as files and how many orders they are.
        expected: digests of the tables afterwards.
        dead letters: what lies in the dead letters afterwards, all of it conflicts.
    """

    topic: str
    messages: int
    uids: Sequence[str]
    expected: dict[str, str]
    base: tuple[dict[str, Path], int] | None = None
    dead_letters: Sequence[bytes] = ()


def measure(place: Place) -> list[Figure]:
    """One order a message, arrays of a hundred, both again, and one conflict in a hundred."""
    place.say("ingest: filling the topics")
    made = make(0, place.sizes.backlog)
    held = rows(made.values)
    files, expected = write(held, _folder(place)), digests(held)
    arrays = made.arrays
    one = _Task(place.produce(made.values), len(made.values), made.uids, expected)
    array = _Task(place.produce(arrays), len(arrays), made.uids, expected)
    mixed = _mixed(place, made)
    plain = _few(place, made) if is_here(place) else None
    limits: list[float] = []
    paces: dict[str, list[Pace]] = {"one": [], "again": [], "array": [], "mixed": [], "plain": []}
    batches: list[int] = []
    for number in range(place.sizes.rounds):

        def say(what: str, number: int = number) -> None:
            place.say(f"ingest: round {number + 1} of {place.sizes.rounds}, {what}")

        say("COPY")
        limits.append(copied(place, made, files, expected, thoroughly=not number))
        say("one order a message")
        with place.database() as dsn:
            paces["one"].append(_take_in(place, dsn, one))
            batches += _batches(place, dsn)
            say("the same again")
            paces["again"].append(_take_in(place, dsn, one._replace(uids=())))
        if plain:
            say("the plain service")
            with place.database() as dsn:
                paces["plain"].append(_take_in_plainly(place, dsn, plain))
        say("arrays")
        with place.database() as dsn:
            paces["array"].append(_take_in(place, dsn, array))
        say("conflicts")
        with place.database() as dsn:
            paces["mixed"].append(_take_in(place, dsn, mixed))
    return _figures(limits, paces, batches)


def copied(
    place: Place,
    made: Made,
    files: dict[str, Path],
    expected: dict[str, str],
    *,
    thoroughly: bool = False,
) -> float:
    """Orders a second by COPY into empty tables."""
    with place.database() as dsn:
        place.settle()
        rate = len(made.values) / place.copy(dsn, files)
        check(place.digests(dsn) == expected, "COPY stored something else")
        if thoroughly:
            _check_documents(dsn, made)
    return rate


def _take_in(place: Place, dsn: str, task: _Task) -> Pace:
    """Have a consumer of a new group do it; without new uids all of it is stored already."""
    base = 0
    if task.base is not None:
        files, base = task.base
        place.copy(dsn, files)
    place.settle()
    dead_letters = f"{place.new_name('dead_letters')}.dlq"
    with consumer(place, dsn, task.topic, ORDERS_KAFKA_DLQ_TOPIC=dead_letters) as running:
        found = pace(running, dsn, task.uids, task.messages, base=base)
    check(place.digests(dsn) == task.expected, "what is stored is not what was sent")
    dead = list(place.topics.read_all(dead_letters))
    check(
        sorted(each.value() or b"" for each in dead) == sorted(task.dead_letters),
        "other dead letters",
    )
    codes = {dict(each.headers() or ())["orders-error-code"] for each in dead}
    check(codes <= {b"conflict"}, f"the dead letters' codes are {codes}")
    return found


def _take_in_plainly(place: Place, dsn: str, task: _Task) -> Pace:
    """Have the plain service do it, whose rows are held against the same."""
    place.settle()
    with plain_consumer(place, dsn, task.topic) as running:
        found = pace(running, dsn, task.uids, task.messages)
    check(place.digests(dsn) == task.expected, "the plain service has stored something else")
    return found


def _few(place: Place, made: Made) -> _Task:
    """The beginning of the backlog: the plain service would take minutes for all of it."""
    few = Made(made.first, made.values[: place.sizes.plain])
    return _Task(place.produce(few.values), len(few.values), few.uids, digests(rows(few.values)))


def _mixed(place: Place, made: Made) -> _Task:
    """New orders, and among them one in a hundred that is stored already with other content."""
    amount = len(made.values)
    stored = made.values[: amount // 5]
    others = [other_content(value) for value in stored[: amount // _CONFLICT_EVERY]]
    fresh = make(10_000_000, amount - len(others))
    values = list(fresh.values)
    for at, other in enumerate(others):
        values.insert(at * _CONFLICT_EVERY + _CONFLICT_EVERY // 2, other)
    return _Task(
        place.produce(values),
        len(values),
        fresh.uids,
        digests(rows([*stored, *fresh.values])),
        (write(rows(stored), _folder(place)), len(stored)),
        others,
    )


def _folder(place: Place) -> Path:
    folder = place.folder / place.new_name("rows")
    folder.mkdir()
    return folder


def _figures(
    limits: Sequence[float],
    paces: dict[str, list[Pace]],
    batches: Sequence[int],
) -> list[Figure]:
    one = [each.rows for each in paces["one"]]
    array = [each.rows for each in paces["array"]]
    again = [each.messages for each in paces["again"]]
    copy = Limit(limits, COPY)
    plain = [each.rows for each in paces["plain"]]
    commits = Limit([each.messages for each in paces["one"]], "the first time")
    return [
        Figure(ROW, "one order a message", _UNIT, one, copy, target=Target(0.9), note=_CLOCK),
        *([Figure(ROW, "one order a message", _UNIT, one, Limit(plain, PLAIN))] if plain else []),
        Figure(ROW, "arrays of 100", _UNIT, array, copy, target=Target(1.0)),
        Figure(
            ROW,
            "redelivery: all are stored already",
            _UNIT,
            again,
            commits,
            target=Target(0.8),
            note="both by the group's commits, for no row appears",
        ),
        Figure(
            ROW,
            "1 % conflicts among new ones",
            _UNIT,
            [each.rows for each in paces["mixed"]],
            Limit(one, "one order a message"),
            target=Target(0.7),
            note="new orders a second",
        ),
        Figure(
            ROW,
            "CPU time of the consumer an order, one a message",
            "us",
            [each.cpu * 1e6 for each in paces["one"]],
            target=Target(most=45),
        ),
        Figure(
            ROW,
            "the same, arrays",
            "us",
            [each.cpu * 1e6 for each in paces["array"]],
        ),
        Figure("batches", "orders in a transaction, at a backlog", "orders", [median(batches)]),
        Figure("batches", "the largest of them", "orders", [max(batches)]),
    ]


def _batches(place: Place, dsn: str) -> list[int]:
    """How many orders each transaction has stored, by the transaction ids of the rows."""
    text = "SELECT array_agg(n) FROM (SELECT count(*) AS n FROM orders GROUP BY xmin::text) AS each"
    return list(place.ask(dsn, text))


def _check_documents(dsn: str, made: Made) -> None:
    """What the digests are held against is itself held against the documents, field by field."""
    stored = read_orders(dsn)
    check(len(stored) == len(made.values), "another number of orders is stored")
    for value in made.values:
        document: Document = json.loads(value)
        check(stored[document["order_uid"]] == as_stored(document), f"not as sent: {value!r}")
