"""One and two of each process, side by side; all share the cores of one machine here."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from bench.documents import digests, make, rows
from bench.figures import Figure, Limit
from bench.place import Place, check
from bench.product import api, consumer, is_assigned
from bench.reads import hot_load
from bench.watching import pace

_PARTITIONS = 2


def measure(place: Place, dsn: str) -> list[Figure]:
    """Workers of the API for reads, consumers of two partitions for the ingest."""
    one, two = (_reads(place, dsn, workers) for workers in (1, 2))
    figures = [
        Figure(
            "scaling",
            f"{name}, 2 API workers",
            "requests/s",
            [two[name]],
            Limit([one[name]], "1 worker"),
        )
        for name in one
    ]
    single, double = (_ingest(place, consumers) for consumers in (1, 2))
    ingest = "ingest of two partitions, 2 consumers"
    limit = Limit([single], "1 consumer")
    return [*figures, Figure("scaling", ingest, "orders/s", [double], limit)]


def _reads(place: Place, dsn: str, workers: int) -> dict[str, float]:
    place.say(f"scaling: reads by {workers} workers")
    many = str(place.folder / "shop.targets")
    with api(place, dsn, ORDERS_HTTP_WORKERS=str(workers)) as running:
        check(len(running.pids()) == 1 + workers, f"not {workers} workers: {running.pids()}")
        return {
            "hot GET": place.load(port=running.port, **hot_load(place))["rate"],
            f"GET uniformly over {place.sizes.many:,}": place.load(
                port=running.port, targets=many, bodies=str(place.folder / "shop.bodies")
            )["rate"],
        }


def _ingest(place: Place, consumers: int) -> float:
    """They wait for the orders, and not the other way round: all have their partitions then."""
    place.say(f"scaling: ingest by {consumers} consumers")
    made = make(40_000_000, place.sizes.backlog)
    topic = place.produce((), _PARTITIONS)
    more = {
        "ORDERS_KAFKA_GROUP": place.new_name("group"),
        "ORDERS_KAFKA_PARTITIONS": str(_PARTITIONS),
    }
    with place.database() as dsn, ExitStack() as stack:
        started = [
            stack.enter_context(consumer(place, dsn, topic, **more)) for _ in range(consumers)
        ]
        for each in started:
            each.wait_until(lambda each=each: is_assigned(each), "given partitions")  # type: ignore[misc]
        amount = len(made.values)
        with ThreadPoolExecutor(1) as pool:  # the clock must see the beginning
            sending = pool.submit(place.send, topic, made.values, _PARTITIONS)
            found = pace(started[0], dsn, (), amount)
            sending.result()
        check(place.digests(dsn) == digests(rows(made.values)), "other rows are stored")
    return found.messages
