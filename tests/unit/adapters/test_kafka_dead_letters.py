"""How dead letters are handed to the producer, without a broker."""

from collections.abc import Sequence

import pytest

from orders.adapters.kafka.client.producer import MessageRefused, Outgoing
from orders.adapters.kafka.dead_letters import BYTES_AT_ONCE, KafkaDeadLetters
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import Unavailable
from tests.contracts.dead_letters import dead_letter


class Producer:
    """Notes what it is to send; refuses the first ``refusals`` calls."""

    def __init__(self, refusals: int = 0) -> None:
        self.sent: list[Sequence[Outgoing]] = []
        self._refusals = refusals

    async def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        self.sent.append(messages)
        if len(self.sent) <= self._refusals:
            raise MessageRefused("a message is refused")


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
