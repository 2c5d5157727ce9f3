"""The same work beside a few orders and beside a million."""

import http.client
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.bench.documents import Made, digests, make, rows, uid_of, write_many
from tests.bench.figures import Figure, Limit, Target
from tests.bench.place import Place, check
from tests.bench.product import Running, api, consumer, get
from tests.bench.reads import targets
from tests.bench.watching import pace

_PAGE = 100
_LEAST = 0.77
"""At most 1.3 times slower."""


def measure(place: Place) -> list[Figure]:
    """Ingest, hot and uniform GET, and a page: the larger database beside the smaller one."""
    sizes = place.sizes
    small, large = sizes.small, sizes.large
    rates: dict[str, dict[int, list[float]]] = {}
    with place.database() as small_dsn, place.database() as large_dsn:
        for amount, dsn in ((small, small_dsn), (large, large_dsn)):
            place.say(f"growth: loading {amount:,} orders")
            folder = place.folder / f"growth-{amount}"
            folder.mkdir()
            files = write_many(amount, folder)
            took = place.copy(dsn, files, trusted=True)
            place.say(f"growth: loaded {amount:,} orders in {took:.0f} s; statistics, checkpoint")
            for file in files.values():
                file.unlink()
            place.settle(dsn)
            found = place.ask(dsn, "SELECT count(*) FROM orders")
            check(found == amount, f"{found:,} of {amount:,} orders were loaded")
        with api(place, small_dsn) as one, api(place, large_dsn) as other:
            for number in range(min(2, sizes.rounds)):
                for amount, running in ((small, one), (large, other)):
                    place.say(f"growth: round {number + 1}, reads among {amount:,}")
                    for name, rate in _reads(place, running, amount).items():
                        rates.setdefault(name, {}).setdefault(amount, []).append(rate)
        for number in range(min(2, sizes.rounds)):
            made = make(30_000_000 + number * sizes.growing, sizes.growing)
            topic = place.produce(made.values)
            with place.database(like=small_dsn) as copy:
                for amount, dsn in ((small, copy), (large, large_dsn)):
                    place.say(f"growth: round {number + 1}, ingest beside {amount:,}")
                    rate = _take_in(place, dsn, topic, made)
                    rates.setdefault("ingest", {}).setdefault(amount, []).append(rate)
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


def _reads(place: Place, running: Running, amount: int) -> dict[str, float]:
    hot = {"targets": place.file("growth-hot.targets", targets([uid_of(0)]))}
    every = place.folder / f"growth-{amount}.targets"
    if not every.exists():
        place.file(every.name, targets([uid_of(number) for number in range(amount)]))
    same = place.folder / f"growth-{amount}-same.targets"
    if not same.exists():
        few = min(place.sizes.few, place.sizes.small)
        step = amount // few
        place.file(same.name, targets([uid_of(number * step) for number in range(few)]))
    port = running.port
    first, second = _page_targets(running)
    return {
        "hot GET": _rate(place, port=port, **hot),
        f"GET uniformly over {place.sizes.few:,} of them": _rate(
            place, port=port, targets=str(same)
        ),
        "GET uniformly over all of them": _rate(place, port=port, targets=str(every)),
        f"page of {_PAGE}": _rate(place, port=port, **_page(place, running, first)),
        f"page of {_PAGE} by a cursor": _rate(place, port=port, **_page(place, running, second)),
    }


def _page_targets(running: Running) -> tuple[str, str]:
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


def _page(place: Place, running: Running, target: str) -> dict[str, Any]:
    status, body = get(running.port, target)
    found = msgspec.json.decode(body)
    check(status == 200, f"{target}: {status}")
    check(len(found) == _PAGE, f"{target}: {len(found)} orders")
    newest = [order["date_created"] for order in found]
    check(newest == sorted(newest, reverse=True), f"{target}: not newest first")
    return {
        "targets": place.file("page.targets", [target.encode()]),
        "bodies": place.file("page.bodies", [body]),
        "connections": 8,
    }


def _rate(place: Place, **what: Any) -> float:
    found: Mapping[str, Any] = place.load(**what)
    return float(found["rate"])


def _take_in(place: Place, dsn: str, topic: str, made: Made) -> float:
    base = place.ask(dsn, "SELECT count(*) FROM orders")
    place.settle()
    uids = made.uids
    with consumer(place, dsn, topic) as running:
        found = pace(running, dsn, uids, len(uids), base=base)
    stored = place.ask(dsn, "SELECT count(*) FROM orders")
    check(stored == base + len(uids), f"{stored - base:,} of {len(uids):,} orders are stored")
    check(place.digests(dsn, uids) == digests(rows(made.values)), "other rows are stored")
    return found.rows
