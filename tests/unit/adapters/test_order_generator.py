"""Orders out of thin air."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import OrderGenerator
from tests.contracts.order_generator import OrderGeneratorContract

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)


class TestRandomOrderGenerator(OrderGeneratorContract):
    @pytest.fixture
    def generator(self) -> OrderGenerator:
        return RandomOrderGenerator()


@given(st.integers(), st.datetimes(timezones=st.just(UTC)))
def test_whatever_the_dice_say_the_order_is_valid(seed: int, moment: datetime) -> None:
    (order,) = RandomOrderGenerator(random.Random(seed), lambda: moment).generate(1)
    (accepted,) = read(encode(order)).accepted
    assert accepted.order == order


def test_the_dice_decide_all_but_the_identity() -> None:
    one, other = (
        _anonymous(RandomOrderGenerator(random.Random(7), lambda: MOMENT).generate(20))
        for _ in range(2)
    )
    assert one == other


def test_equal_dice_never_make_the_same_order_uid() -> None:
    one, other = (RandomOrderGenerator(random.Random(7)).generate(20) for _ in range(2))
    assert {o.order_uid for o in one}.isdisjoint(o.order_uid for o in other)


def test_payment_is_at_the_moment_of_creation() -> None:
    (order,) = RandomOrderGenerator(now=lambda: MOMENT).generate(1)
    assert order.date_created == MOMENT
    assert order.payment.payment_dt == int(MOMENT.timestamp())


def test_orders_vary_and_are_not_all_in_one_script() -> None:
    orders = RandomOrderGenerator(random.Random(1)).generate(300)
    assert {len(order.items) for order in orders} == {1, 2, 3, 4, 5}
    assert len({order.delivery.city for order in orders}) > 3
    assert len({item.brand for order in orders for item in order.items}) > 5
    assert any(not order.delivery.name.isascii() for order in orders)
    assert any(order.delivery.name.isascii() for order in orders)


def _anonymous(orders: Sequence[Order]) -> list[Order]:
    replace = msgspec.structs.replace
    return [replace(o, order_uid="x", payment=replace(o.payment, transaction="x")) for o in orders]
