"""The same work beside a few orders and beside a million."""

import http.client
import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from bench.documents import Made, digests, make, rows, uid_of, write_many
from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.product import Running, api, consumer, get
from bench.reads import in_pairs, read_each, targets
from bench.starting import start_api, start_consumer
from bench.watching import pace

_PAGE = 100
_MOST = 1_000_000
_MOST_SLOWER = 1.3
_LEAST = round(1 / _MOST_SLOWER, 2)
_PART = 500_000
_BYTES = 3_500
"""That an order takes on the disk, with its indexes, the log and what it is loaded from."""
_MOST_ASKED = 1_000_000
"""That the load generator holds in its memory."""


def measure(place: Place) -> list[Figure]:
    """Ingest, hot and uniform GET, and a page: the larger database beside the smaller one."""
    return _measure(place, "growth", place.sizes.small, place.sizes.large)


def measure_large(place: Place) -> list[Figure]:
    """The same with many more, and the start of both processes."""
    amount = place.sizes.huge
    free = shutil.disk_usage(place.folder).free
    check(
        free > amount * _BYTES,
        f"{amount:,} orders need {amount * _BYTES / 1e9:.0f} GB of disk, and {free / 1e9:.0f} are"
        " free: ask for fewer (make bench-large ORDERS=...)",
    )
    return _measure(place, "large", amount // 10, amount, with_starts=True)


def _measure(
    place: Place, row: str, small: int, large: int, *, with_starts: bool = False
) -> list[Figure]:
    rates: dict[str, dict[int, list[float]]] = {}
    starts: dict[str, tuple[list[float], ...]] = {}
    with place.database() as small_dsn, place.database() as large_dsn:
        both = ((small, small_dsn), (large, large_dsn))
        for amount, dsn in both:
            _fill(place, dsn, amount)
        with ExitStack() as stack:
            reads = {amount: _reads(place, stack, amount, dsn) for amount, dsn in both}
            for name in reads[small]:
                few, many = in_pairs(
                    place,
                    f"{row}: {name}",
                    place.sizes.rounds,
                    *(partial(place.load, **reads[amount][name]) for amount in (small, large)),
                )
                rates[name] = {
                    small: [each["rate"] for each in few],
                    large: [each["rate"] for each in many],
                }
        if with_starts:
            topic = place.produce(())
            for name, start in (("api", start_api), ("consumer", start_consumer)):
                starts[name] = in_pairs(
                    place,
                    f"{row}: start of {name}",
                    place.sizes.starts,
                    *(partial(start, place, dsn, topic) for _, dsn in both),
                )
        rates["ingest"] = {small: [], large: []}
        for number in range(place.sizes.rounds):
            made = make(30_000_000 + number * _MOST, 2 * place.sizes.growing)
            topic = place.produce(made.values)
            with place.database(like=small_dsn) as copy:
                for amount, dsn in ((small, copy), (large, large_dsn)):
                    place.say(f"{row}: round {number + 1}, ingest beside {amount:,}")
                    rates["ingest"][amount].append(_take_in(place, dsn, topic, made))
    beside = f"{small:,} orders"
    return [
        *(
            Figure(
                row,
                f"{name}, {large:,} orders",
                "orders/s" if name == "ingest" else "requests/s",
                found[large],
                Limit(found[small], beside),
                target=Target(_LEAST),
            )
            for name, found in rates.items()
        ),
        *(
            Figure(
                row,
                f"start of {name}, {large:,} orders",
                "s",
                many,
                Limit(few, beside),
                target=Target(most=_MOST_SLOWER),
            )
            for name, (few, many) in starts.items()
        ),
    ]


def _fill(place: Place, dsn: str, amount: int) -> None:
    """Load them part by part, into tables whose keys and indexes are made afterwards."""
    folder = place.folder / place.new_name("filling")
    folder.mkdir()
    with place.without_indexes(dsn):
        for first in range(0, amount, _PART):
            place.say(f"loading {amount:,} orders: from {first:,} on")
            files = write_many(min(_PART, amount - first), folder, first)
            place.copy(dsn, files, trusted=True)
        shutil.rmtree(folder)
        place.say(f"loading {amount:,} orders: keys and indexes")
    place.settle(dsn)
    found = place.ask(dsn, "SELECT count(*) FROM orders")
    check(found == amount, f"{found:,} of {amount:,} orders were loaded")


def _newest(place: Place, dsn: str) -> list[str]:
    """The orders of the first two pages."""
    newest = f"SELECT order_uid FROM orders ORDER BY date_created DESC, 1 DESC LIMIT {2 * _PAGE}"
    return list(place.ask(dsn, f"SELECT array_agg(order_uid) FROM ({newest}) AS newest"))


def _reads(place: Place, stack: ExitStack, amount: int, dsn: str) -> dict[str, dict[str, Any]]:
    """What to load which API with, by the name of the figure.

    One API is as users have it: it has read all orders before, and holds as many of them as it may.
    The other holds none by itself, so that each request comes to the database.
    """
    running = stack.enter_context(api(place, dsn))
    without = stack.enter_context(api(place, dsn, ORDERS_CACHE_LOCAL_BYTES="0"))
    newest = _newest(place, dsn)
    few = min(place.sizes.few, place.sizes.small)
    some = [uid_of(number * (amount // few)) for number in range(few)]
    every = [uid_of(number) for number in range(0, amount, -(-amount // _MOST_ASKED))]

    def of(name: str, uids: Sequence[str]) -> dict[str, Any]:
        file = place.file(f"growth-{name}-{amount}.targets", targets(uids))
        return {"port": running.port, "targets": file}

    every_one = of("all", every)
    place.say(f"reading each of {len(every):,} orders once")
    read_each(place, running, targets=every_one["targets"])
    first, second = _page_targets(running)
    return {
        "hot GET": of("hot", every[:1]),
        f"GET uniformly over {few:,} of them": of("some", some),
        "GET uniformly over all of them": every_one,
        "the same, the API holding none": every_one | {"port": without.port},
        f"page of {_PAGE}": _page(place, running, first, f"page-{amount}", newest[:_PAGE]),
        f"page of {_PAGE} by a cursor": _page(
            place, running, second, f"next-page-{amount}", newest[_PAGE:]
        ),
    }


def _page_targets(running: Running) -> tuple[str, str]:
    """The first page, and the one to which it leads."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    try:
        connection.request("GET", f"/orders?limit={_PAGE}")
        answer = connection.getresponse()
        answer.read()
        link = answer.getheader("link") or ""
    finally:
        connection.close()
    check(link.startswith("<"), f"a page without a link to the next: {link!r}")
    return f"/orders?limit={_PAGE}", link[1:].partition(">")[0]


def _page(
    place: Place, running: Running, target: str, name: str, expected: Sequence[str]
) -> dict[str, Any]:
    status, body = get(running.port, target)
    check(status == 200, f"{target}: {status}")
    found = json.loads(body)
    check(len(found) == _PAGE, f"{target}: {len(found)} orders")
    check([order["order_uid"] for order in found] == expected, f"{target}: other orders")
    return {
        "port": running.port,
        "targets": place.file(f"{name}.targets", [target.encode()]),
        "bodies": place.file(f"{name}.bodies", [body]),
        "connections": 8,
    }


def _take_in(place: Place, dsn: str, topic: str, made: Made) -> float:
    """The rate of the second half of these orders.

    The first half stands for all that came since PostgreSQL's last checkpoint: what touches a page
    first after that writes all of it to the log, and a few orders among a million touch nothing
    but such pages, other than the thousands a second that this is about.
    """
    base = place.ask(dsn, "SELECT count(*) FROM orders")
    uids = made.uids
    half = len(uids) // 2
    with consumer(place, dsn, topic) as running:
        found = pace(running, dsn, uids[half:], len(uids), base=base + half)
    stored = place.ask(dsn, "SELECT count(*) FROM orders")
    check(stored == base + len(uids), f"{stored - base:,} of {len(uids):,} orders are stored")
    check(place.digests(dsn, uids) == digests(rows(made.values)), "other rows are stored")
    return found.rows
