"""The same work beside a few orders and beside a million."""

import http.client
import json
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from bench.documents import Made, digests, make, rows, uid_of, write_many
from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.product import Running, api, consumer, get
from bench.reads import in_pairs, targets
from bench.watching import pace

_PAGE = 100
_MOST = 1_000_000
_LEAST = 0.77
"""At most 1.3 times slower."""


def measure(place: Place) -> list[Figure]:
    """Ingest, hot and uniform GET, and a page: the larger database beside the smaller one."""
    small, large = place.sizes.small, place.sizes.large
    rates: dict[str, dict[int, list[float]]] = {}
    with place.database() as small_dsn, place.database() as large_dsn:
        for amount, dsn in ((small, small_dsn), (large, large_dsn)):
            _fill(place, dsn, amount)
        with ExitStack() as stack:
            reads = {
                amount: _reads(place, stack, amount, dsn)
                for amount, dsn in ((small, small_dsn), (large, large_dsn))
            }
            for name in reads[small]:
                few, many = in_pairs(
                    place,
                    f"growth: {name}",
                    place.sizes.rounds,
                    *(partial(place.load, **reads[amount][name]) for amount in (small, large)),
                )
                rates[name] = {
                    small: [each["rate"] for each in few],
                    large: [each["rate"] for each in many],
                }
        rates["ingest"] = {small: [], large: []}
        for number in range(place.sizes.rounds):
            made = make(30_000_000 + number * _MOST, 2 * place.sizes.growing)
            topic = place.produce(made.values)
            with place.database(like=small_dsn) as copy:
                for amount, dsn in ((small, copy), (large, large_dsn)):
                    place.say(f"growth: round {number + 1}, ingest beside {amount:,}")
                    rates["ingest"][amount].append(_take_in(place, dsn, topic, made))
    return [
        Figure(
            "growth",
            f"{name}, {large:,} orders",
            "orders/s" if name == "ingest" else "requests/s",
            found[large],
            Limit(found[small], f"{small:,} orders"),
            target=Target(_LEAST),
        )
        for name, found in rates.items()
    ]


def _fill(place: Place, dsn: str, amount: int) -> None:
    place.say(f"growth: loading {amount:,} orders")
    folder = place.folder / f"growth-{amount}"
    folder.mkdir()
    files = write_many(amount, folder)
    place.copy(dsn, files, trusted=True)
    for file in files.values():
        file.unlink()
    place.settle(dsn)
    found = place.ask(dsn, "SELECT count(*) FROM orders")
    check(found == amount, f"{found:,} of {amount:,} orders were loaded")


def _newest(place: Place, dsn: str) -> list[str]:
    """The orders of the first two pages."""
    newest = f"SELECT order_uid FROM orders ORDER BY date_created DESC, 1 DESC LIMIT {2 * _PAGE}"
    return list(place.ask(dsn, f"SELECT array_agg(order_uid) FROM ({newest}) AS newest"))


def _reads(place: Place, stack: ExitStack, amount: int, dsn: str) -> dict[str, dict[str, Any]]:
    """What to load which API with, by the name of the figure.

    One API is as users have it. The other holds no orders by itself, or it would be asked for half
    of a few thousand orders and hardly any of a million, whatever becomes of the database.
    """
    running = stack.enter_context(api(place, dsn))
    without = stack.enter_context(api(place, dsn, ORDERS_CACHE_LOCAL_BYTES="0"))
    newest = _newest(place, dsn)
    few = min(place.sizes.few, place.sizes.small)
    some = [uid_of(number * (amount // few)) for number in range(few)]
    every = [uid_of(number) for number in range(amount)]

    def of(name: str, uids: Sequence[str]) -> dict[str, Any]:
        file = place.file(f"growth-{name}-{amount}.targets", targets(uids))
        return {"port": running.port, "targets": file}

    every_one = of("all", every)

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
