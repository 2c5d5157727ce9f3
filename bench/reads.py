"""GET of one order: uniformly over many, and of orders that are not there."""

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench.documents import UID_SQL, make, rows, uid_of, write
from bench.figures import Figure, Limit, Target
from bench.place import CheckFailed, Place, check
from bench.plain import PLAIN, plain_copy
from bench.product import Running, api, cpu_seconds, get, memory

LOOK_UP = Path(__file__).with_name("look_up.sql").read_text("utf-8")
"""One order by its uid, $1: a plain statement, which answers what the API does byte for byte."""
_CONNECTIONS = 64
HOT = "hot GET"
_READ_EACH_SECONDS = 600.0
_CONNECT_SECONDS = (1, 4, 16)
"""That pgbench is given to connect, one after the other; its rate leaves them out."""
PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "enable_bitmapscan": "off",
    "enable_seqscan": "off",
    "jit": "off",
}
"""Of the limits' sessions, as the product has it: otherwise each look-up is planned, which takes
longer than itself, and of all orders each one's items are read by a bitmap, which is slower."""


@contextmanager
def shop(place: Place) -> Iterator[str]:
    """A database of many orders; its DSN. Made once for all rows that only read."""
    made = make(0, place.sizes.many)
    folder = place.folder / "shop"
    folder.mkdir(exist_ok=True)
    place.say(f"reads: loading {place.sizes.many:,} orders")
    place.file("shop.bodies", made.values)
    place.file("shop.targets", targets(made.uids))
    for name, amount in (("few", place.sizes.few), ("several", place.sizes.several)):
        place.file(f"{name}.bodies", made.values[:amount])
        place.file(f"{name}.targets", targets(made.uids[:amount]))
    with place.database() as dsn:
        place.copy(dsn, write(rows(made.values), folder), trusted=True)
        place.settle(dsn)
        yield dsn


def targets(uids: Sequence[str]) -> list[bytes]:
    """What to ask for, for each of these."""
    return [b"/orders/" + uid.encode() for uid in uids]


def uniform(place: Place, dsn: str) -> list[Figure]:
    """Each request for another of many orders, all of which have been read once before."""
    sizes = place.sizes
    return [
        *_uniform(place, dsn, "few", sizes.few),
        *_uniform(place, dsn, "several", sizes.several),
        *_uniform(place, dsn, "shop", sizes.many, with_first_reads=True),
    ]


def _uniform(
    place: Place, dsn: str, name: str, amount: int, *, with_first_reads: bool = False
) -> list[Figure]:
    what = {kind: str(place.folder / f"{name}.{kind}") for kind in ("targets", "bodies")}
    before = transactions(place, dsn)
    with plain_copy(place, dsn) as plain, api(place, dsn) as running:
        _check_look_up(place, dsn, running, amount)
        empty = _resident(running)
        place.say(f"GET over {amount:,}: each of them once")
        first = read_each(place, running, **what)
        held = _resident(running) - empty
        limits, ours, hot, *theirs = in_pairs(
            place,
            f"GET over {amount:,}",
            place.sizes.pairs,
            partial(pgbench, place, dsn, amount),
            partial(place.load, port=running.port, **what),
            partial(place.load, port=running.port, **hot_load(place)),
            *(partial(place.load, port=each.port, **what) for each in (plain,) if each),
        )
    # Its sessions are over now, so that all that they did is counted.
    queries = transactions(place, dsn) - before - sum(done for _, done in limits)
    pgbench_rates = [rate for rate, _ in limits]
    beside: list[tuple[Limit, Target | None]] = [
        (Limit(_all(hot, "rate"), HOT), Target(0.9)),
        (Limit(pgbench_rates, "pgbench"), None),
        *((Limit(_all(each, "rate"), PLAIN), None) for each in theirs),
    ]
    figures = [
        Figure(
            "uniform",
            f"GET uniformly over {amount:,} orders",
            "requests/s",
            _all(ours, "rate"),
            limit,
            target=target,
            note=f"99th percentile {max(_all(ours, 'p99', 1e3)):.0f} ms",
        )
        for limit, target in beside
    ]
    if not with_first_reads:
        return figures
    return [
        *figures,
        Figure(
            "uniform",
            f"GET of each of {amount:,} orders for the first time",
            "requests/s",
            [first["rate"]],
            Limit([median(pgbench_rates)], "pgbench"),
            target=Target(0.8),
        ),
        Figure(
            "uniform",
            "queries a request for the first time",
            "",
            [queries / first["asked"]],
            target=Target(most=0.25),
            note=f"{queries:,} transactions of the database for {first['asked']:,} requests",
        ),
        Figure(
            "uniform",
            f"memory of the API for each of {amount:,} orders that it holds",
            "bytes",
            [held / amount],
        ),
    ]


def missing(place: Place, dsn: str) -> list[Figure]:
    """Orders that are not there, beside one that is."""
    absent = [uid_of(50_000_000 + number) for number in range(5_000)]
    nothing = {"targets": place.file("absent.targets", targets(absent)), "status": 404}
    one = hot_load(place)
    with api(place, dsn) as running:
        hits, ours = in_pairs(
            place,
            "GET of what is not there",
            place.sizes.pairs,
            partial(place.load, port=running.port, **one),
            partial(place.load, port=running.port, **nothing),
        )
    return [
        Figure(
            "missing",
            "GET of 5,000 orders that are not there",
            "requests/s",
            _all(ours, "rate"),
            Limit(_all(hits, "rate"), HOT),
            target=Target(0.5),
        )
    ]


def read_each(place: Place, running: Running, **what: str) -> dict[str, Any]:
    """Ask for each of these orders once, so that the API holds them, as far as it may."""
    port = running.port
    found = place.load(port=port, once=True, seconds=_READ_EACH_SECONDS, warm_up=0.0, **what)
    check(found["asked"] == found["requests"], "not each order was read")
    return found


def _resident(running: Running) -> float:
    return sum(memory(pid)["rss"] for pid in running.pids().values()) * 1e6


def in_pairs(
    place: Place, name: str, pairs: int, *takes: Callable[[], Any]
) -> tuple[list[Any], ...]:
    """Samples of each, one beside the other.

    Every second time they are taken in reverse, so that nobody gains by being first.
    """
    found = tuple(list[Any]() for _ in takes)
    for number in range(pairs):
        place.say(f"{name}: pair {number + 1} of {pairs}")
        both = list(zip(takes, found, strict=True))
        for take, samples in reversed(both) if number % 2 else both:
            samples.append(take())
    return found


def hot_load(place: Place) -> dict[str, Any]:
    """What to load a server with where everybody wants the same order."""
    return {
        "targets": place.file("hot.targets", targets([uid_of(0)])),
        "bodies": place.file("hot.bodies", [hot_body(place)]),
    }


def hot_body(place: Place) -> bytes:
    """The bytes of that order."""
    with (place.folder / "shop.bodies").open("rb") as bodies:
        return bodies.readline().rstrip(b"\n")


def pgbench(place: Place, dsn: str, amount: int) -> tuple[float, int]:
    """Look-ups a second by PostgreSQL's own tool, and how many there were in all."""
    script = place.folder / "look_up.pgbench"
    uid = UID_SQL.format(":n")
    script.write_text(f"\\set n random(0, {amount - 1})\n{LOOK_UP.replace('$1', uid)}", "utf-8")
    done_before = 0
    for connecting in _CONNECT_SECONDS:
        seconds = round(place.sizes.seconds) + connecting
        done = subprocess.run(
            [
                *(place.program("pgbench"), "--no-vacuum", "--protocol=prepared"),
                *(f"--client={_CONNECTIONS}", "--jobs=1", f"--time={seconds}"),
                *(f"--file={script}", "--random-seed=1", dsn),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={"PGOPTIONS": options(PLANNING)},
        )
        output = f"pgbench: {done.stdout}{done.stderr[:500]}"
        failed = _told(r"failed transactions: (\d+)", done.stdout)
        check(done.returncode == 0 and failed in {"", "0"}, output)
        done_before += int(_told(r"actually processed: (\d+)", done.stdout))
        took = float(_told(r"^initial connection time = ([\d.]+) ms", done.stdout) or 1e9) / 1e3
        if seconds - took > place.sizes.seconds / 2:
            return float(_told(r"^tps = ([\d.]+)", done.stdout)), done_before
    raise CheckFailed("pgbench needs too long to connect")


def _told(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def options(settings: Mapping[str, str]) -> str:
    """Settings of a session, as libpq's environment takes them."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def transactions(place: Place, dsn: str) -> int:
    """How many the database has seen, by sessions that are over."""
    text = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    return int(place.ask(dsn, text))


def timed(place: Place, pids: Iterable[int], **what: Any) -> dict[str, Any]:
    """Put load on a server, and see how much of the processor each request has taken of it."""
    pids = list(pids)
    before = cpu_seconds(pids)
    found = place.load(**what)
    return found | {"server_cpu": (cpu_seconds(pids) - before) / found["asked"]}


def _check_look_up(place: Place, dsn: str, running: Running, amount: int) -> None:
    """pgbench asks for what the API answers, byte for byte."""
    with psycopg.connect(dsn, autocommit=True, options=options(PLANNING)) as connection:
        for number in (0, amount // 2, amount - 1):
            uid = uid_of(number)
            inner = LOOK_UP.replace("$1", "%s").rstrip(";\n")
            text = f"SELECT document::text FROM ({inner}) AS found (document)"
            found = connection.execute(text.encode(), [uid]).fetchone()
            assert found is not None
            answer = get(running.port, f"/orders/{uid}")
            check(answer == (200, found[0].encode()), "the API and the look-up differ")


def _all(found: Sequence[Mapping[str, Any]], name: str, factor: float = 1.0) -> list[float]:
    return [each[name] * factor for each in found]
