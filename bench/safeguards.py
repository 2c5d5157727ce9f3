"""What metrics, keys and limits cost, beside a hot GET without them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

from bench.figures import Figure, Limit, Target
from bench.place import Place
from bench.product import api
from bench.reads import hot_load, in_pairs, timed
from orders.entrypoints.http.access import key_file
from orders.entrypoints.http.access.scopes import READ
from orders.entrypoints.http.middleware import record_request

_RECORDS = 100_000
_LIMITS = {"ORDERS_HTTP_RATE_LIMIT": "1000000000/hour", "ORDERS_HTTP_CONCURRENCY_LIMIT": "1000"}
"""Such that they are never reached."""


def measure(place: Place, dsn: str) -> list[Figure]:
    """One order that everybody wants, asked for with a key, and with a key within limits."""
    path, key = place.folder / "keys.json", _new_key(place)
    keys = {"ORDERS_HTTP_AUTH": "keys", "ORDERS_HTTP_KEYS_FILE": str(path)}
    figures, used = [], list[float]()
    for name, more in (("keys", keys), ("keys and limits", keys | _LIMITS)):
        with _loaded(place, dsn, {}, "") as without, _loaded(place, dsn, more, key) as guarded:
            theirs, ours = in_pairs(
                place, f"hot GET with {name}", place.sizes.pairs, without, guarded
            )
        used += (each["server_cpu"] for each in theirs)
        for what, unit, field, factor in (
            ("", "requests/s", "rate", 1),
            (", CPU time of the server", "us", "server_cpu", 1e6),
        ):
            limit = Limit([each[field] * factor for each in theirs], "the same without")
            figures.append(
                Figure(
                    "safeguards",
                    f"hot GET with {name}{what}",
                    unit,
                    [each[field] * factor for each in ours],
                    limit,
                )
            )
    return [
        Figure(
            "safeguards",
            "counting a hot GET for the metrics, and deciding not to log it",
            "us",
            [_record() * 1e6 for _ in used],
            Limit([each * 1e6 for each in used], "CPU time of the server for it"),
            target=Target(most=0.02),
            note="in a process that does nothing else",
        ),
        *figures,
    ]


@contextmanager
def _loaded(
    place: Place, dsn: str, settings: Mapping[str, str], key: str
) -> Iterator[partial[dict[str, float]]]:
    """An API with these settings; gives what puts load on it, with the key if there is one."""
    headers = f"authorization: Bearer {key}\r\n" if key else ""
    with api(place, dsn, **settings) as running:
        pids = tuple(running.pids().values())
        yield partial(timed, place, pids, port=running.port, headers=headers, **hot_load(place))


def _new_key(place: Place) -> str:
    stored, key = key_file.new_key("bench", [READ], datetime.now(UTC), None)
    key_file.edit(place.folder / "keys.json", lambda _: (stored,), create=True)
    return key


def _record() -> float:
    """Seconds that it takes, in a loop."""
    scope = {"type": "http", "method": "GET", "path_template": "/orders/{order_uid}"}
    took = 0.0
    for _ in range(_RECORDS // 50):
        began = perf_counter()  # often, since a hot GET takes some microseconds
        for _ in range(50):
            record_request(scope, 200, began, b"id")
        took += perf_counter() - began
    return took / _RECORDS
