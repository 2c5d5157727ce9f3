"""From a backlog in the topic to committed rows, beside server-side COPY of the same rows."""

import json
from collections.abc import Sequence
from statistics import median

from tests.bench.documents import Made, Rows, digests, make, other_content, rows, write
from tests.bench.figures import Figure, Limit, Target
from tests.bench.place import Place, check
from tests.bench.product import consumer
from tests.bench.watching import Pace, pace
from tests.drills.expectations import Document
from tests.drills.stored import as_stored, read_orders

ROW = "ingest"
_UNIT = "orders/s"
_CONFLICT_EVERY = 100
_CLOCK = "from the first rows that are seen to the last; the first batch is not counted"


def measure(place: Place) -> list[Figure]:
    """One order a message, arrays of a hundred, both again, and one conflict in a hundred."""
    made = make(0, place.sizes.backlog)
    held = rows(made.values)
    folder = place.folder / "ingest"
    folder.mkdir()
    files, expected = write(held, folder), digests(held)
    arrays = made.arrays
    place.say("ingest: filling the topics")
    topics = {"one": place.produce(made.values), "array": place.produce(arrays)}
    messages = {"one": len(made.values), "array": len(arrays)}
    limits: list[float] = []
    paces: dict[str, list[Pace]] = {"one": [], "array": [], "one again": []}
    batches: list[int] = []
    for number in range(place.sizes.rounds):
        place.say(f"ingest: round {number + 1} of {place.sizes.rounds}, COPY")
        with place.database() as dsn:
            place.settle()
            limits.append(len(made.values) / place.copy(dsn, files))
            check(place.digests(dsn) == expected, "COPY stored something else")
            if not number:
                _check_documents(dsn, made)
        for kind, topic in topics.items():
            place.say(f"ingest: round {number + 1} of {place.sizes.rounds}, {kind} a message")
            with place.database() as dsn:
                paces[kind].append(_take_in(place, dsn, topic, made, messages[kind]))
                check(place.digests(dsn) == expected, f"{kind} a message: other rows were stored")
                if kind == "one":
                    batches += _batches(place, dsn)
                    place.say(f"ingest: round {number + 1} of {place.sizes.rounds}, again")
                    paces["one again"].append(_again(place, dsn, topic, messages[kind]))
                    check(place.digests(dsn) == expected, "redelivery changed what is stored")
    conflicts = [_conflicts(place, number, made) for number in range(place.sizes.rounds)]
    return _figures(limits, paces, conflicts, batches)


def _take_in(place: Place, dsn: str, topic: str, made: Made, messages: int) -> Pace:
    place.settle()
    with consumer(place, dsn, topic) as running:
        return pace(running, dsn, made.uids, messages)


def _again(place: Place, dsn: str, topic: str, messages: int) -> Pace:
    """The same messages by another group, which finds all of them stored."""
    place.settle()
    with consumer(place, dsn, topic) as running:
        return pace(running, dsn, (), messages)


def _conflicts(place: Place, number: int, made: Made) -> Pace:
    """New orders, and among them one in a hundred that is stored already with other content."""
    place.say(f"ingest: round {number + 1} of {place.sizes.rounds}, conflicts")
    amount = len(made.values)
    stored = Made(made.first, made.values[: amount // 5])
    known = rows(stored.values)
    others = [other_content(value) for value in stored.values[: amount // _CONFLICT_EVERY]]
    fresh = make(10_000_000, amount - len(others))
    values = list(fresh.values)
    for at, other in enumerate(others):
        values.insert(at * _CONFLICT_EVERY + _CONFLICT_EVERY // 2, other)
    folder = place.folder / place.new_name("known")
    folder.mkdir()
    topic = place.produce(values)
    with place.database() as dsn:
        place.copy(dsn, write(known, folder))
        place.settle()
        with consumer(place, dsn, topic) as running:
            base = len(stored.values)
            found = pace(running, dsn, fresh.uids, len(values), base=base)
        check(
            place.digests(dsn) == digests(_sum(known, rows(fresh.values))), "other rows are there"
        )
        letters = list(place.topics.read_all(f"{topic}.dlq"))
        check(sorted(each.value() or b"" for each in letters) == sorted(others), "other letters")
        codes = {dict(each.headers() or ())["orders-error-code"] for each in letters}
        check(codes == {b"conflict"}, f"the letters' codes are {codes}")
    return found


def _figures(
    limits: Sequence[float],
    paces: dict[str, list[Pace]],
    conflicts: Sequence[Pace],
    batches: Sequence[int],
) -> list[Figure]:
    one = [each.rows for each in paces["one"]]
    array = [each.rows for each in paces["array"]]
    again = [each.messages for each in paces["one again"]]
    copy = Limit(limits, "server-side COPY of the same rows")
    commits = Limit([each.messages for each in paces["one"]], "one order a message, new")
    return [
        Figure(ROW, "one order a message", _UNIT, one, copy, target=Target(0.7), note=_CLOCK),
        Figure(ROW, "arrays of 100", _UNIT, array, copy, target=Target(0.85)),
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
            [each.rows for each in conflicts],
            Limit(one, "one order a message"),
            target=Target(0.7),
            note="new orders a second",
        ),
        Figure("batches", "orders in a transaction, at a backlog", "orders", [median(batches)]),
        Figure("batches", "the largest of them", "orders", [max(batches)]),
    ]


def _batches(place: Place, dsn: str) -> list[int]:
    """How many orders each transaction has stored: the rows tell, by the number of theirs."""
    text = "SELECT array_agg(n) FROM (SELECT count(*) AS n FROM orders GROUP BY xmin::text) AS each"
    return list(place.ask(dsn, text))


def _check_documents(dsn: str, made: Made) -> None:
    """What the digests are held against is itself held against the documents, field by field."""
    stored = read_orders(dsn)
    check(len(stored) == len(made.values), "another number of orders is stored")
    for value in made.values:
        document: Document = json.loads(value)
        check(stored[document["order_uid"]] == as_stored(document), f"not as sent: {value!r}")


def _sum(one: Rows, other: Rows) -> Rows:
    return {table: one[table] + other[table] for table in one}
