"""The metrics of all workers of an API, whichever of them is asked.

Each worker gives its own metrics to whoever connects to its socket in a folder that they share. The
worker that is scraped reads all of them and adds them up.
"""

import operator
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer

import msgspec
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from orders.domain.errors import Unavailable

_SECONDS = 1.0
"""What a worker may take; its socket answers even while its event loop is busy."""
_Combine = Callable[[float, float], float]
_Sent = list[tuple[str, str, str, list[tuple[str, dict[str, str], float]]]]
"""Families as workers send them. Prometheus' text would take a hundred times as long to read."""
_SUMMED = {"counter", "histogram"}
_GAUGES: dict[str, _Combine] = {
    "orders_postgres_connections": operator.add,
    "orders_postgres_waiting": operator.add,
    "orders_dependency_up": min,
    "orders_dependencies_checked_timestamp_seconds": min,
    "process_resident_memory_bytes": operator.add,
    "process_virtual_memory_bytes": operator.add,
    "process_open_fds": operator.add,
}
"""Of the others the greatest counts."""

_folder: Path | None = None


def share(folder: Path) -> None:
    """Give the metrics of this process to those that use ``folder``, and add theirs to its own."""
    global _folder  # noqa: PLW0603 (like the registry, there is one in a process)
    _folder = folder
    server = _Server(str(folder / str(os.getpid())), _Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def exposition() -> bytes:
    """Return what Prometheus scrapes; may take a second, so not to be called in the event loop.

    Raises:
        Unavailable: a worker does not answer. Without it the counters would go backwards, which
            Prometheus takes for a restart: it would count everything again.
    """
    if _folder is None:
        return generate_latest()
    try:
        return combined(_read(path) for path in sorted(_folder.iterdir()))
    except (OSError, msgspec.DecodeError):
        raise Unavailable("a worker does not give its metrics") from None


def combined(workers: Iterable[Iterable[Metric]]) -> bytes:
    """Return the text of the metrics of several processes, added up."""
    registry = CollectorRegistry()
    registry.register(_Sum(workers))
    return generate_latest(registry)


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # beyond the base class's 5, readers at the same time are refused

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a reader that has left."""


class _Handler(BaseRequestHandler):
    def handle(self) -> None:
        sent: _Sent = [
            (
                family.name,
                family.documentation,
                family.type,
                [(sample.name, sample.labels, sample.value) for sample in family.samples],
            )
            for family in REGISTRY.collect()
        ]
        self.request.sendall(msgspec.msgpack.encode(sent))


def _read(path: Path) -> Iterator[Metric]:
    parts = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(str(path))
        while part := connection.recv(65_536):
            parts.append(part)
    for name, documentation, kind, samples in msgspec.msgpack.decode(b"".join(parts), type=_Sent):
        family = Metric(name, documentation, kind)
        for sample in samples:
            family.add_sample(*sample)
        yield family


class _Sum(Collector):
    def __init__(self, workers: Iterable[Iterable[Metric]]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for family in chain.from_iterable(self._workers):
            families.setdefault(family.name, family)
            combine = _combination(family)
            found = values.setdefault(family.name, {})
            for name, labels, value, *_ in family.samples:
                series = name, tuple(labels.items())
                found[series] = combine(found[series], value) if series in found else value
        for family in families.values():
            total = Metric(family.name, family.documentation, family.type)
            for (name, pairs), value in values[family.name].items():
                total.add_sample(name, dict(pairs), value)
            yield total


def _combination(family: Metric) -> _Combine:
    return operator.add if family.type in _SUMMED else _GAUGES.get(family.name, max)
