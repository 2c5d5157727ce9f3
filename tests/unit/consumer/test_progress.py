"""What the consumer logs about its work."""

from structlog.testing import capture_logs

from orders.domain.use_cases.ingest_batch import IngestReport
from orders.entrypoints.consumer.progress import SUMMARY_INTERVAL, Progress

REPORT = IngestReport(messages=3, saved=2, unchanged=1, dead={"invalid": 4})


def test_every_batch_at_debug_and_sums_now_and_then_at_info() -> None:
    now = 0.0
    progress = Progress(lambda: now)
    with capture_logs() as logs:
        progress.stored(REPORT, 0.0123)
        progress.stored(REPORT, 0.5)
        now = SUMMARY_INTERVAL
        progress.stored(REPORT, 0.5)
        progress.summarise()
    single = {"messages": 3, "saved": 2, "unchanged": 1, "dead_invalid": 4}
    double = {name: 2 * number for name, number in single.items()}
    assert [entry for entry in logs if entry["log_level"] == "debug"] == [
        {"event": "batch stored", "log_level": "debug", "ms": ms, **single}
        for ms in (12.3, 500.0, 500.0)
    ]
    assert [entry for entry in logs if entry["log_level"] == "info"] == [
        {"event": "stored", "log_level": "info", "batches": 1, **single},
        {"event": "stored", "log_level": "info", "batches": 2, **double},
    ]


def test_nothing_to_sum_up_is_not_said() -> None:
    with capture_logs() as logs:
        Progress().summarise()
    assert logs == []
