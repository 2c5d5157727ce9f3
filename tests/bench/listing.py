"""GET /orders: all of them, beside COPY TO STDOUT of the same documents."""

import json
import subprocess
import time
from typing import Any

from tests.bench.documents import make
from tests.bench.draining import Reader, drain
from tests.bench.figures import Figure, Limit, Target
from tests.bench.place import Place, check
from tests.bench.product import Running, api, forget_peak, get, memory
from tests.bench.reads import LOOK_UP, hot_load, options

_FAST, _SLOW = 7, 3
_SLOW_RATE = 65_536.0


def measure(place: Place, dsn: str) -> list[Figure]:
    """Its rate, its first byte, the memory that it takes, and what ten at once do to others."""
    limits, rates, firsts, grown = [], [], list[float](), list[float]()
    with api(place, dsn) as running:
        length = _check_list(place, running)
        place.load(port=running.port, **hot_load(place))  # it holds what it needs for its work
        for number in range(place.sizes.rounds):
            place.say(f"GET /orders: round {number + 1} of {place.sizes.rounds}")
            limits.append(length / _copy(place, dsn) / 1e6)
            before = _peak_from_now(running)
            found = drain(running.port, "/orders")
            check(found.is_whole, "the list breaks off")
            check(found.wire >= length, f"{found.wire} bytes of a list of {length}")
            rates.append(length / found.seconds / 1e6)
            firsts.append(found.first_byte * 1e3)
            grown.append(_grown(running, before))
        alone, beside, at_once, progress = _ten_at_once(place, running)
    return [
        Figure(
            "list",
            f"GET /orders, {place.sizes.many:,} orders",
            "MB/s",
            rates,
            Limit(limits, "COPY of the same documents to standard output"),
            target=Target(0.2),
        ),
        Figure("list", "its first byte", "ms", firsts, target=Target(most=50)),
        Figure("list", "API memory that one takes", "MB", [max(grown)], target=Target(most=32)),
        Figure(
            "list",
            "API memory that ten at once take",
            "MB",
            [at_once],
            target=Target(most=32),
            note=f"{_SLOW} of them read {_SLOW_RATE / 1024:.0f} KiB a second; {progress}",
        ),
        Figure(
            "list",
            "hot GET beside ten lists",
            "requests/s",
            [beside["rate"]],
            Limit([alone["rate"]], "the same without them"),
            target=Target(0.25),
        ),
        Figure(
            "list",
            "its 99th percentile",
            "ms",
            [beside["p99"] * 1e3],
            target=Target(most=100),
            note=f"{alone['p99'] * 1e3:.1f} ms without them",
        ),
    ]


def _ten_at_once(
    place: Place, running: Running
) -> tuple[dict[str, Any], dict[str, Any], float, str]:
    """Hot look-ups without and with ten lists at once; what these took, and how far they came."""
    place.say("GET /orders: ten at once, and look-ups beside them")
    what = hot_load(place)
    alone = place.load(port=running.port, **what)
    before = _peak_from_now(running)
    fast = [Reader(running.port, "/orders") for _ in range(_FAST)]
    readers = [*fast, *(Reader(running.port, "/orders", _SLOW_RATE) for _ in range(_SLOW))]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    beside = place.load(port=running.port, **what)
    grown = _grown(running, before)
    still = sum(reader.is_alive() for reader in fast)
    for reader in readers:
        reader.leave()
    least = min(reader.drained.wire for reader in readers)
    check(least > 0, "a list has not even begun beside others")
    told = f"{still} of {_FAST} fast ones were still reading when the look-ups ended"
    return alone, beside, grown, told


def _check_list(place: Place, running: Running) -> int:
    """The list is all orders, newest first, as they were sent; returns the bytes of its body."""
    status, body = get(running.port, "/orders")
    check(status == 200, f"GET /orders: {status}")
    sent = make(0, place.sizes.many).values
    expected = b"[" + b",".join(reversed(sent)) + b"]"  # each was made a second after the last
    if body != expected:
        check(len(json.loads(body)) == len(sent), "the list has another length")
        check(condition=False, told="the list is not what was stored")
    return len(body)


def _copy(place: Place, dsn: str) -> float:
    """The seconds that it takes to have all documents, in the same order, by COPY."""
    look_up = LOOK_UP.rstrip(";\n").replace("WHERE o.order_uid = $1", "")
    statement = f"COPY ({look_up} ORDER BY o.date_created DESC, o.order_uid DESC) TO STDOUT"
    began = time.perf_counter()
    subprocess.run(
        [place.program("psql"), "--no-psqlrc", "--quiet", f"--command={statement}", dsn],
        stdout=subprocess.DEVNULL,
        env={"PGOPTIONS": options({"jit": "off"})},
        check=True,
        timeout=300,
    )
    return time.perf_counter() - began


def _workers(running: Running) -> list[int]:
    return [pid for kind, pid in running.pids().items() if "worker" in kind]


def _peak_from_now(running: Running) -> float:
    for pid in _workers(running):
        forget_peak(pid)
    return sum(memory(pid)["rss"] for pid in _workers(running))


def _grown(running: Running, before: float) -> float:
    return sum(memory(pid)["peak"] for pid in _workers(running)) - before
