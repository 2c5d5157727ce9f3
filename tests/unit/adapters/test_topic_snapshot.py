"""What a topic holds, where requests for its metadata fail."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from kafka.errors import KafkaError, LeaderNotAvailableError, RequestTimedOutError

from orders.adapters.kafka.client import topic_snapshot
from orders.adapters.kafka.client.topic_snapshot import offset_ranges, read_present
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Unavailable

SETTINGS = to_kafka_settings(Settings(kafka_bootstrap="broker:9092"))
TOPIC = {"partitions": [{"partition": 0}, {"partition": 1}]}


class Consumer:
    """Takes a failed request for the metadata for a missing topic, as the real one does."""

    def partitions_for_topic(self, _: str) -> None:
        return None

    def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 10)

    def poll(self, _: int) -> dict[Any, Any]:
        return {}

    def ignore(self, *_: Any) -> None:
        pass

    assign = seek = close = ignore


Answers = Callable[..., None]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Sets the answers to requests for the metadata, in their order."""

    def answer(*answers: Mapping[str, Any] | KafkaError | None) -> None:
        remaining = iter(answers)

        class Admin:
            def described_topic(self, _: str) -> Mapping[str, Any] | None:
                found = next(remaining)
                if isinstance(found, KafkaError):
                    raise found
                return found

        @contextmanager
        def client(*_: Any, **__: Any) -> Iterator[Admin]:
            yield Admin()

        monkeypatch.setattr(topic_snapshot, "_new_consumer", lambda _: Consumer())
        monkeypatch.setattr(topic_snapshot, "admin_client", client, raising=False)
        monkeypatch.setattr(topic_snapshot, "_REFRESH_INTERVAL", 0.0)

    return answer


async def read(*, may_be_missing: bool = False) -> None:
    async for _ in read_present(SETTINGS, "orders.dlq", may_be_missing=may_be_missing):
        pass


@pytest.mark.parametrize("error", [RequestTimedOutError(), LeaderNotAvailableError()])
async def test_a_request_that_fails_does_not_mean_that_there_is_no_topic(
    answers: Answers, error: KafkaError
) -> None:
    answers(error, error, TOPIC, error)
    with pytest.raises(Unavailable):
        await offset_ranges(SETTINGS, "orders.dlq")
    with pytest.raises(Unavailable):
        await read()
    with pytest.raises(Unavailable):
        await read()


async def test_a_topic_that_is_missing_is_empty_where_it_may_be_missing(answers: Answers) -> None:
    answers(None, None, None)
    assert await offset_ranges(SETTINGS, "orders.dlq") == {}
    await read(may_be_missing=True)
    with pytest.raises(Unavailable, match=r"orders\.dlq is missing"):
        await read()


@pytest.mark.parametrize("then", [None, {"partitions": [{"partition": 0}]}])
async def test_a_topic_that_is_deleted_while_it_is_read_is_not_at_its_end(
    answers: Answers, then: Mapping[str, Any] | None
) -> None:
    answers(TOPIC, then)
    with pytest.raises(Unavailable, match=r"orders\.dlq was deleted"):
        await read()
