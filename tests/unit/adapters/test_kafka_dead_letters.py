"""How dead letters are handed to the producer, without a broker."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from orders.adapters.kafka.client.producer import BATCH_BYTES, MessageRefused, Outgoing
from orders.adapters.kafka.client.topics import TopicLimits
from orders.adapters.kafka.dead_letters import BYTES_AT_ONCE, KafkaDeadLetters
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import TooLarge, Unavailable
from tests.contracts.dead_letters import dead_letter


class Producer:
    """Notes what it is to send; refuses the first ``refusals`` calls, and too large values."""

    def __init__(self, refusals: int = 0, limits: TopicLimits | None = None) -> None:
        self.limits = limits or TopicLimits(dead_letters=2 * BYTES_AT_ONCE)
        self.sent: list[Sequence[Outgoing]] = []
        self._refusals = refusals

    async def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        self.sent.append(messages)
        if len(self.sent) <= self._refusals:
            raise MessageRefused("a message is refused")
        if any(len(message.value or b"") > self.limits.dead_letters for message in messages):
            raise TooLarge("a message is too large")


def dead_letters(producer: Producer) -> KafkaDeadLetters:
    settings = to_kafka_settings(Settings(kafka_bootstrap="broker:9092"))
    return KafkaDeadLetters(producer, settings)  # type: ignore[arg-type]


async def test_what_is_sent_in_one_call_is_bounded_in_bytes() -> None:
    producer = Producer()
    headers = (("x", bytes(3_000_000)),)
    many = [dead_letter(str(n).encode(), n, headers=headers) for n in range(12)]
    many.insert(3, dead_letter(bytes(BYTES_AT_ONCE + 1)))
    await dead_letters(producer).put(many)
    assert [message.value for call in producer.sent for message in call] == [m.value for m in many]
    for call in producer.sent:
        assert len(call) == 1 or sum(message.size for message in call) <= BYTES_AT_ONCE


async def test_what_is_refused_in_any_form_waits() -> None:
    producer = Producer(refusals=2)
    with pytest.raises(Unavailable, match="refused"):
        await dead_letters(producer).put([dead_letter()])
    assert len(producer.sent) == 2


async def test_what_is_too_large_is_put_without_its_content_and_its_neighbours_with_it() -> None:
    producer = Producer(limits=TopicLimits(source=100, dead_letters=200))
    large = dead_letter(bytes(201), 1)
    with capture_logs() as lines:
        await dead_letters(producer).put([dead_letter(b"a"), large, dead_letter(b"b", 2)])
    taken = [one for [one, *more] in producer.sent if not more and len(one.value or b"") <= 200]
    assert [one.value for one in taken] == [b"a", b"b", None]
    assert dict(taken[-1].headers)["orders-omitted"] == b"1"
    [line] = lines
    assert (line["event"], line["index"]) == ("dead letter without its content", 1)


@pytest.mark.parametrize("neighbours", [0, 1])
async def test_what_had_a_batch_to_itself_is_not_sent_again(neighbours: int) -> None:
    producer = Producer(limits=TopicLimits(source=BATCH_BYTES // 2, dead_letters=BATCH_BYTES))
    value = bytes(BATCH_BYTES + 1)
    others = [dead_letter(b"a", n) for n in range(neighbours)]
    await dead_letters(producer).put([*others, dead_letter(value, 1)])
    sent = [message.value for call in producer.sent for message in call]
    assert sent.count(value) == 1 + neighbours
    assert sent[-1] is None


async def test_where_the_topic_takes_less_than_it_should_what_is_too_large_waits() -> None:
    producer = Producer(limits=TopicLimits(source=101, dead_letters=200))
    with capture_logs() as lines, pytest.raises(Unavailable, match="larger than its topic"):
        await dead_letters(producer).put([dead_letter(bytes(201))])
    assert [line["event"] for line in lines] == ["dead letter too large"]
