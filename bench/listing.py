"""GET /orders: all of them, beside COPY TO STDOUT of the same documents."""

import json
import subprocess
import time
from typing import Any

from bench.documents import make
from bench.draining import Reader, drain
from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.product import Running, api, forget_peak, get, memory
from bench.reads import LOOK_UP, PLANNING, hot_load, options

_FAST, _SLOW = 7, 3
_SLOW_RATE = 65_536.0


def measure(place: Place, dsn: str) -> list[Figure]:
    """Its rate, its first byte, the memory that it takes, and what ten at once do to others."""
    limits, rates, firsts = list[float](), list[float](), list[float]()
    with api(place, dsn) as running:
        place.load(port=running.port, **hot_load(place))  # it holds what it needs for its work
        before = _peak_from_now(running)
        length = _check_list(place, running)
        for number in range(place.sizes.rounds):
            place.say(f"GET /orders: round {number + 1} of {place.sizes.rounds}")
            limits.append(length / _copy(place, dsn) / 1e6)
            found = drain(running.port, "/orders")
            check(found.is_whole, "the list breaks off")
            check(found.wire >= length, f"{found.wire} bytes of a list of {length}")
            rates.append(length / found.seconds / 1e6)
            firsts.append(found.first_byte * 1e3)
        grown = _peak(running) - before
        alone, beside, progress = _ten_at_once(place, running)
        at_once = _peak(running) - before
    return [
        Figure(
            "list",
            f"GET /orders, {place.sizes.many:,} orders",
            "MB/s",
            rates,
            Limit(limits, "COPY TO STDOUT"),
            target=Target(0.2),
        ),
        Figure("list", "its first byte", "ms", firsts, target=Target(most=50)),
        Figure(
            "list",
            "API memory that lists one after another take",
            "MB",
            [grown],
            target=Target(most=32),
        ),
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
            "hot GET beside ten lists, 99th percentile",
            "ms",
            [beside["p99"] * 1e3],
            target=Target(most=100),
            note=f"{alone['p99'] * 1e3:.1f} ms without them",
        ),
    ]


def _ten_at_once(place: Place, running: Running) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Hot look-ups without and with ten lists at once, and how far these came."""
    place.say("GET /orders: ten at once, and look-ups beside them")
    what = hot_load(place)
    alone = place.load(port=running.port, **what)
    fast = [Reader(running.port, "/orders") for _ in range(_FAST)]
    readers = [*fast, *(Reader(running.port, "/orders", _SLOW_RATE) for _ in range(_SLOW))]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    beside = place.load(port=running.port, **what)
    still = sum(reader.is_alive() for reader in fast)
    for reader in readers:
        reader.leave()
    least = min(reader.drained.wire for reader in readers)
    check(least > 0, "a list has not even begun beside others")
    note = f"{still} of {_FAST} fast ones were still reading when the look-ups ended"
    return alone, beside, note


def _check_list(place: Place, running: Running) -> int:
    """The list is all orders, newest first, as they were sent; returns the bytes of its body."""
    status, body = get(running.port, "/orders")
    check(status == 200, f"GET /orders: {status}")
    sent = make(0, place.sizes.many).values
    expected = b"[" + b",".join(reversed(sent)) + b"]"  # each was made a second after the last
    if body != expected:
        check(len(json.loads(body)) == len(sent), "the list has another length")
        check(condition=False, problem="the list is not what was stored")
    return len(body)


def _copy(place: Place, dsn: str) -> float:
    """The seconds that it takes to have all documents, in the same order, by COPY."""
    look_up = LOOK_UP.rstrip(";\n").replace("WHERE o.order_uid = $1", "")
    statement = f"COPY ({look_up} ORDER BY o.date_created DESC, o.order_uid DESC) TO STDOUT"
    began = time.perf_counter()
    subprocess.run(
        [place.program("psql"), "--no-psqlrc", "--quiet", f"--command={statement}", dsn],
        stdout=subprocess.DEVNULL,
        env={"PGOPTIONS": options(PLANNING)},
        check=True,
        timeout=300,
    )
    return time.perf_counter() - began


def _workers(running: Running) -> list[int]:
    return [pid for kind, pid in running.pids().items() if kind != "api main"]


def _peak_from_now(running: Running) -> float:
    """What the workers hold; the most that they hold counts from now on."""
    for pid in _workers(running):
        forget_peak(pid)
    return sum(memory(pid)["rss"] for pid in _workers(running))


def _peak(running: Running) -> float:
    """The most that they have held since."""
    return sum(memory(pid)["peak"] for pid in _workers(running))
