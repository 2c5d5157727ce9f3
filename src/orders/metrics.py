"""All metrics of a process. None has a value of an order, an address or an unbounded label."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import (
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector, CollectorRegistry

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# One more series for each counter, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCHES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


class Series:
    """One series of a ``QuickHistogram``."""

    __slots__ = ("_bounds", "_first", "numbers", "total")

    def __init__(self, bounds: list[float]) -> None:
        self._bounds = bounds
        self._first = bounds[0]
        self.numbers = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count an observation."""
        # Most requests are in the first bucket, where no search is needed.
        self.numbers[0 if seconds <= self._first else bisect_left(self._bounds, seconds)] += 1
        self.total += seconds


class QuickHistogram(Collector):
    """A histogram of seconds that is observed in one thread.

    That of prometheus_client takes locks, and several times as long, which a request that takes
    microseconds would notice (docs/performance.md).
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        *,
        bounds: Sequence[float] = _FAST,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self._bounds = list(bounds)
        self._bucket_names = [*map(str, bounds), "+Inf"]
        self._series: dict[tuple[str | int, ...], Series] = {}
        registry.register(self)

    def series(self, *labels: str | int) -> "Series":
        """The series with these values of the labels, in order."""
        return self._series.setdefault(labels, Series(self._bounds))

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Describe the metric without its values, as a registry asks."""
        yield HistogramMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return all series."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, series in self._series.copy().items():
            buckets = list(zip(self._bucket_names, accumulate(series.numbers), strict=True))
            family.add_metric([str(label) for label in labels], buckets, series.total)
        yield family


class QuickCounter(Collector):
    """A counter that is incremented in one thread, faster than prometheus_client's."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        *,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self._cells: dict[tuple[str, ...], list[int]] = {}
        registry.register(self)

    def cell(self, *labels: str) -> list[int]:
        """The value of a series as a list of one number, to be incremented."""
        return self._cells.setdefault(labels, [0])

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Describe the metric without its values, as a registry asks."""
        yield CounterMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return all series."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, (value,) in self._cells.copy().items():
            family.add_metric(labels, value)
        yield family


class PartitionMetrics(Collector):
    """Of each partition that this consumer has: what the functions return when it is scraped."""

    def __init__(self) -> None:
        self.lag: Callable[[], Mapping[int, int]] = dict
        """Messages that are not stored yet."""
        self.lost: Callable[[], Mapping[int, int]] = dict
        """Messages that the brokers deleted before they were read."""
        REGISTRY.register(self)

    def describe(self) -> Iterator[Metric]:
        """Describe the metrics without their values, as a registry asks."""
        yield from self._families({}, {})

    def collect(self) -> Iterator[Metric]:
        """Return all series."""
        lag = self.lag()
        yield from self._families(lag, {**dict.fromkeys(lag, 0), **self.lost()})

    def _families(self, lag: Mapping[int, int], lost: Mapping[int, int]) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "orders_consumer_lag_messages",
            "Messages that are not stored yet.",
            labels=["partition"],
        )
        deleted = CounterMetricFamily(
            "orders_consumer_lost_messages",
            "Messages that were deleted before they were read.",
            labels=["partition"],
        )
        for family, numbers in ((waiting, lag), (deleted, lost)):
            for partition, number in numbers.items():
                family.add_metric([str(partition)], number)
            yield family


BUILD = Info("orders_build", "The version of this process.")
BUILD.info({"version": version("orders")})

REQUESTS = QuickHistogram(
    "orders_http_request_duration_seconds",
    "Time from a request's headers to the end of its response.",
    ("route", "method", "status"),
)
LOOKUPS = QuickCounter(
    "orders_lookups",
    "Orders looked up, by layer; a miss goes on to the next one.",
    ("layer", "result"),
)
LOOKUP_BATCHES = Counter("orders_lookup_batches", "Queries that look orders up.", ("layer",))
INGESTED = Counter(
    "orders_ingested", "Orders from the topic, by what became of them.", ("outcome",)
)
MESSAGES = Counter("orders_ingested_messages", "Messages of stored batches.")
BATCH_ORDERS = Histogram("orders_ingest_batch_orders", "Orders of a batch.", buckets=_BATCHES)
PHASES = Histogram(
    "orders_ingest_phase_duration_seconds",
    "Time of each phase of a batch, also of attempts that fail.",
    ("phase",),
    buckets=_FAST,
)
STORE_FAILURES = Counter("orders_store_failures", "Attempts to store a batch that failed.")
UNCONFIRMED = Counter("orders_commits_unconfirmed", "Commits that were not confirmed in time.")
OLDEST = Gauge(
    "orders_consumer_oldest_message_age_seconds",
    "Age of the oldest message that was received and is not stored; 0 if there is none.",
)
PARTITIONS = PartitionMetrics()
POOL = Gauge("orders_postgres_connections", "Connections of the pool.", ("server", "state"))
POOL_WAITING = Gauge("orders_postgres_waiting", "Callers that wait for a connection.", ("server",))
DEPENDENCY_UP = Gauge(
    "orders_dependency_up",
    "0 if the last check found this dependency down, else 1.",
    ("dependency",),
)
DEPENDENCY_DEGRADED = Gauge(
    "orders_dependency_degraded",
    "1 if the last check found this dependency degraded, else 0.",
    ("dependency",),
)
CHECKED = Gauge(
    "orders_dependencies_checked_timestamp_seconds",
    "When all dependencies were last checked; if that is long ago, the event loop is stuck.",
)
CHECKED.set_to_current_time()  # the first check comes soon
