"""The metrics that are quicker than prometheus_client's give the same text."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest

from orders import metrics

BOUNDS = (0.1, 0.5, 1.0, 2.5)


def text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from([*BOUNDS, 0.0, 0.3, 7.0]) | st.floats(0, 10, width=16),
        )
    )
)
def test_a_histogram_as_the_librarys(observations: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    quick = metrics.QuickHistogram("name", "Text.", ("label",), bounds=BOUNDS, registry=ours)
    library = Histogram("name", "Text.", ("label",), buckets=BOUNDS, registry=theirs)
    for label, value in observations:
        quick.series(label).observe(value)
        library.labels(label).observe(value)
    assert text(ours) == text(theirs)


@given(st.lists(st.sampled_from(["a", "b"])))
def test_a_counter_as_the_librarys(labels: list[str]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    quick = metrics.QuickCounter("name", "Text.", ("label",), registry=ours)
    library = Counter("name", "Text.", ("label",), registry=theirs)
    for label in labels:
        quick.cell(label)[0] += 1
        library.labels(label).inc()
    assert text(ours) == text(theirs)


def test_names_are_as_prometheus_wants_them() -> None:
    for family in REGISTRY.collect():
        if family.name.startswith("orders_"):
            assert family.documentation.endswith(".")
            assert not family.name.endswith("_total")


def test_each_is_documented() -> None:
    page = Path("docs/operating.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `(orders_\w+)` \|", page, re.MULTILINE))
    made = {
        family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        for family in REGISTRY.collect()
        if family.name.startswith("orders_")
    }
    assert made == listed
