"""What every order generator keeps to. Subclasses give the fixture ``generator``."""

from datetime import UTC, datetime, timedelta

import pytest

from orders.domain.intake.reading import read
from orders.domain.order.document import encode
from orders.domain.ports import OrderGenerator


class OrderGeneratorContract:
    @pytest.fixture
    def generator(self) -> OrderGenerator:
        raise NotImplementedError

    @pytest.mark.parametrize("amount", [0, 1, 50])
    def test_makes_as_many_as_asked(self, generator: OrderGenerator, amount: int) -> None:
        assert len(generator.generate(amount)) == amount

    def test_every_order_is_valid_and_survives_the_wire(self, generator: OrderGenerator) -> None:
        for order in generator.generate(500):
            reading = read(encode(order))
            assert reading.refused == ()
            assert [accepted.order for accepted in reading.accepted] == [order]

    def test_no_two_have_the_same_order_uid(self, generator: OrderGenerator) -> None:
        orders = [*generator.generate(2000), *generator.generate(2000)]
        assert len({order.order_uid for order in orders}) == len(orders)

    def test_the_sums_add_up(self, generator: OrderGenerator) -> None:
        for order in generator.generate(500):
            assert 1 <= len(order.items) <= 5
            for item in order.items:
                assert 0 <= item.sale <= 100
                assert item.total_price == item.price * (100 - item.sale) // 100
            payment = order.payment
            assert payment.goods_total == sum(item.total_price for item in order.items)
            assert payment.amount == (
                payment.goods_total + payment.delivery_cost + payment.custom_fee
            )

    def test_the_parts_belong_together(self, generator: OrderGenerator) -> None:
        for order in generator.generate(500):
            assert {item.track_number for item in order.items} == {order.track_number}
            assert order.payment.transaction == order.order_uid
            assert not order.delivery.phone.startswith("0")

    def test_they_were_created_now(self, generator: OrderGenerator) -> None:
        before = datetime.now(UTC)
        (order,) = generator.generate(1)
        assert before <= order.date_created <= datetime.now(UTC)
        assert order.date_created.utcoffset() == timedelta(0)
