"""Generates random orders."""

import string
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from uuid import uuid4

from orders.adapters.random_orders import vocabulary
from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.domain.ports import OrderGenerator

MOST_ITEMS = 5
_UPPER_AND_DIGITS = string.ascii_uppercase + string.digits


class RandomOrderGenerator(OrderGenerator):
    """Generates orders of 1 to 5 items, created now, with consistent sums.

    An item's total_price is price * (100 - sale) // 100; goods_total is their sum, and amount is
    goods_total + delivery_cost + custom_fee. Order_uids are UUIDs, unique across processes;
    ``random`` decides everything else.
    """

    def __init__(
        self,
        random: Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._random = random or Random()  # noqa: S311 (not for security)
        self._now = now

    def generate(self, amount: int) -> Sequence[Order]:
        """See ``OrderGenerator.generate``."""
        return [self._order() for _ in range(amount)]

    def _order(self) -> Order:
        pick = self._random.choice
        uid = uuid4().hex
        track_number = "WB" + "".join(self._random.choices(_UPPER_AND_DIGITS, k=12))
        place = pick(vocabulary.PLACES)
        moment = self._now()
        items = tuple([self._item(track_number) for _ in range(self._up_to(MOST_ITEMS))])
        return Order(
            order_uid=uid,
            track_number=track_number,
            entry=pick(vocabulary.ENTRIES),
            delivery=self._delivery(place),
            payment=self._payment(uid, place, items, moment),
            items=items,
            locale=place.locale,
            internal_signature="",
            customer_id=f"customer-{self._up_to(100_000)}",
            delivery_service=pick(vocabulary.CARRIERS),
            shardkey=str(self._up_to(10) - 1),
            sm_id=self._up_to(100) - 1,
            date_created=moment,
            oof_shard=str(self._up_to(2)),
        )

    def _delivery(self, place: vocabulary.Place) -> Delivery:
        pick = self._random.choice
        return Delivery(
            name=pick(place.names),
            phone=f"{place.dialling_code}{self._up_to(10**10) - 1:010}",
            zip=f"{self._up_to(10**6) - 1:06}",
            city=place.city,
            address=f"{pick(place.streets)} {self._up_to(200)}",
            region=place.region,
            email=f"customer{self._up_to(10**6)}@example.com",
        )

    def _payment(
        self, uid: str, place: vocabulary.Place, items: Sequence[Item], moment: datetime
    ) -> Payment:
        pick = self._random.choice
        goods_total = sum([item.total_price for item in items])
        delivery_cost = self._up_to(20) * 100
        custom_fee = pick((0, 0, 0, 150))
        return Payment(
            transaction=uid,
            request_id="",
            currency=place.currency,
            provider=pick(vocabulary.PROVIDERS),
            amount=goods_total + delivery_cost + custom_fee,
            payment_dt=int(moment.timestamp()),
            bank=pick(vocabulary.BANKS),
            delivery_cost=delivery_cost,
            goods_total=goods_total,
            custom_fee=custom_fee,
        )

    def _item(self, track_number: str) -> Item:
        pick = self._random.choice
        name, brand = pick(vocabulary.GOODS)
        price = self._up_to(10_000)
        sale = pick((0, 0, 5, 10, 15, 30, 50, 70))
        return Item(
            chrt_id=self._up_to(10**7),
            track_number=track_number,
            price=price,
            rid=f"{self._random.getrandbits(64):016x}",
            name=name,
            sale=sale,
            size=pick(vocabulary.SIZES),
            total_price=price * (100 - sale) // 100,
            nm_id=self._up_to(10**7),
            brand=brand,
            status=pick(vocabulary.STATUSES),
        )

    def _up_to(self, most: int) -> int:
        """A number from 1 to ``most``; faster than random.randint."""
        return 1 + int(self._random.random() * most)
