"""How old the oldest message is that is not stored."""

import time

import pytest
from prometheus_client import REGISTRY

from orders.adapters.metered.ingest import MeteredSource
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import Batch, Message, Origin
from orders.domain.ports import MessageSource


class Unconfirmed(MessageSource):
    """Its messages are ten minutes old, and fewer in each batch; no commit is confirmed."""

    age = 600

    async def receive(self) -> Batch:
        sent = int((time.time() - self.age) * 1000)
        self.age -= 100
        origin = Origin("orders", 0, 0)
        return Batch(
            (Message(origin, b"", timestamp=sent + 5_000), Message(origin, b"", None, sent))
        )

    async def commit(self, batch: Batch) -> None:
        raise Unavailable("not confirmed")


def age() -> float:
    value = REGISTRY.get_sample_value("orders_consumer_oldest_message_age_seconds")
    assert value is not None
    return value


async def test_what_is_stored_does_not_wait_even_if_its_commit_is_not_confirmed() -> None:
    source = MeteredSource(Unconfirmed())
    assert age() == 0
    await source.receive()
    second = await source.receive()
    third = await source.receive()
    assert age() == pytest.approx(600, abs=5)
    with pytest.raises(Unavailable):
        await source.commit(second)  # and the one before it
    assert age() == pytest.approx(400, abs=5)
    with pytest.raises(Unavailable):
        await source.commit(third)
    assert age() == 0
