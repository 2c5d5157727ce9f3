"""A membership is counted on only from when the brokers were asked."""

from collections.abc import Iterator
from unittest import mock

import pytest
from kafka.errors import UnknownMemberIdError
from kafka.future import Future

from orders.adapters.kafka.lease import Lease


class Coordinator:
    """The part of the client's object that sends heartbeats; answers come when the test says."""

    def __init__(self) -> None:
        self.sent: list[Future] = []

    def _send_heartbeat_request(self) -> Future:
        self.sent.append(Future())
        return self.sent[-1]

    def beat(self) -> Future:
        return self._send_heartbeat_request()


@pytest.fixture
def clock() -> Iterator[mock.Mock]:
    with mock.patch("orders.adapters.kafka.lease.time") as time:
        time.time.return_value = 1_000.0
        yield time.time


@pytest.fixture
def lease(coordinator: Coordinator) -> Lease:
    lease = Lease()
    lease.watch(coordinator)
    return lease


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator()


def test_there_is_none_before_an_answer(
    lease: Lease, coordinator: Coordinator, clock: mock.Mock
) -> None:
    coordinator.beat()
    assert lease.silence == float("inf")


def test_it_counts_from_the_question(
    lease: Lease, coordinator: Coordinator, clock: mock.Mock
) -> None:
    answer = coordinator.beat()
    clock.return_value += 9  # frozen: the answer waits in the socket
    answer.success(None)
    assert lease.silence == 9


def test_an_answer_is_that_to_its_own_question(
    lease: Lease, coordinator: Coordinator, clock: mock.Mock
) -> None:
    first = coordinator.beat()
    clock.return_value += 9
    second = coordinator.beat()
    first.success(None)
    assert lease.silence == 9
    second.success(None)
    assert lease.silence == 0


def test_a_refusal_confirms_nothing(
    lease: Lease, coordinator: Coordinator, clock: mock.Mock
) -> None:
    coordinator.beat().failure(UnknownMemberIdError())
    assert lease.silence == float("inf")
