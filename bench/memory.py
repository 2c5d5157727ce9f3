"""What the processes hold: started and left alone, and after their work."""

from bench.documents import make
from bench.figures import Figure, Limit, Target
from bench.place import Place
from bench.plain import PLAIN, is_here, plain_api, plain_consumer
from bench.product import Running, api, consumer, is_assigned, memory
from bench.watching import committed

_MOST_SECONDS = 300.0
_NOTE = "resident memory; with shared pages counted once it is {:.0f} MB"


def measure(place: Place) -> list[Figure]:
    """The API, its one worker included, and the consumer."""
    place.say("memory: of what does nothing")
    empty = place.produce(())
    with place.database() as dsn:
        with api(place, dsn, empty) as running:
            idle_api = _held(running)
        with consumer(place, dsn, empty) as running:
            running.wait_until(lambda: is_assigned(running), "given partitions")
            idle_consumer = _held(running)
        place.say("memory: of the consumer after a backlog")
        made = make(80_000_000, place.sizes.backlog)
        with consumer(place, dsn, place.produce(made.values)) as running:
            with committed(running) as group:
                running.wait_until(
                    lambda: sum(group.each()) == len(made.values), "done", 0.1, _MOST_SECONDS
                )
            after_backlog = _held(running)
        plain = _plain(place, dsn, empty) if is_here(place) else None
    figures = [
        _figure("API with one worker, idle", idle_api, 90),
        _figure("consumer, idle", idle_consumer, 60),
        _figure(f"consumer, after a backlog of {len(made.values):,}", after_backlog, 110),
    ]
    if plain:
        ours = [idle_api["rss"] + idle_consumer["rss"]]
        beside = Limit([plain], PLAIN)
        figures.append(Figure("memory", "API and consumer, idle", "MB", ours, beside))
    return figures


def _figure(what: str, held: dict[str, float], most: float) -> Figure:
    note = _NOTE.format(held.get("pss", 0))
    return Figure("memory", what, "MB", [held["rss"]], target=Target(most=most), note=note)


def _plain(place: Place, dsn: str, topic: str) -> float:
    with plain_api(place, dsn) as serving, plain_consumer(place, dsn, topic) as taking:
        taking.wait_until(lambda: "newly assigned" in taking.log(), "given partitions")
        return _held(serving)["rss"] + _held(taking)["rss"]


def _held(running: Running) -> dict[str, float]:
    """By all its processes."""
    each = [memory(pid) for pid in running.pids().values()]
    return {name: sum(held[name] for held in each) for name in each[0]}
