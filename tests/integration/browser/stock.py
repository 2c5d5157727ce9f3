"""The orders that the page is tried on."""

from typing import Any

import msgspec

from orders.domain.order.model import Item, Order
from orders.domain.order.rules import INT64_MAX
from orders.entrypoints.http.docs.openapi.examples import ORDER
from tests.unit.http.harness import order, series

REFERENCE = ORDER.order_uid
MARKUP = (
    '<img src=/x onerror="window.ran = 1"><script>window.ran = 1</script>'
    "<a href='javascript:window.ran = 1'>&amp;${1}{uid}"
)
STRANGE_UIDS = (
    ".",
    "..",
    "events",
    "%2e%2e",
    "%",
    "a/b//c",
    "/",
    "\\",
    " spaces around ",
    "a+b&c=d#e?f;g",
    "'\"`<b>&amp;",
    "ёжик №7",
    "😀👩‍👩‍👧 漢字",
    "line\nbreak\ttab",
    "__proto__",
    "u" * 255,
)


def filled(struct: Any, text: str, **others: Any) -> Any:
    """The same with this text in every field that is one."""
    texts = {
        field.name: text
        for field in msgspec.structs.fields(struct)
        if isinstance(getattr(struct, field.name), str)
    }
    return msgspec.structs.replace(struct, **(texts | others))


def full_of(text: str, order_uid: str) -> Order:
    """An order whose every text, but its own id, is this one."""
    made: Order = filled(
        ORDER,
        text,
        order_uid=order_uid,
        delivery=filled(ORDER.delivery, text),
        payment=filled(ORDER.payment, text),
        items=(filled(ORDER.items[0], text),),
    )
    return made


def with_items(amount: int) -> tuple[Item, ...]:
    kinds = (("Тушь для ресниц", "Vivienne Sabo"), ("Mascaras", "Бренд"), ("Кеды", "Ёж"))
    return tuple(
        filled(
            ORDER.items[0],
            "x",
            name=f"{kinds[i % 3][0]} {i + 1}",
            brand=kinds[i % 3][1],
            size=str(36 + i % 9),
            price=100 + i,
        )
        for i in range(amount)
    )


MARKUP_ORDER = full_of(MARKUP, MARKUP)
EMPTY_ORDER = msgspec.structs.replace(
    full_of("", "empty"), track_number="TRACK", customer_id="c", items=()
)
LONG_ORDER = full_of("длинное_значение_без_пробелов_" * 8, "long")
LONG_ORDERS = (LONG_ORDER, msgspec.structs.replace(LONG_ORDER, order_uid="long too"))
LARGE_ORDER = order("200 items", items=with_items(200))
BIG_NUMBERS_ORDER = order(
    "big numbers",
    payment=msgspec.structs.replace(
        ORDER.payment,
        amount=INT64_MAX,
        payment_dt=INT64_MAX,
        delivery_cost=2**53 + 1,
        goods_total=10**15 - 1,
        custom_fee=0,
    ),
    items=(msgspec.structs.replace(ORDER.items[0], price=INT64_MAX, status=-INT64_MAX - 1),),
    entry='digits in a text stay: "1234567890123456789" \\" 1234567890123456789',
)
RUSSIAN_ORDER = order(
    "заказ-7",
    track_number="ТРЕК-2021",
    delivery=msgspec.structs.replace(
        ORDER.delivery,
        name="Иванов Иван Иванович",
        phone="+79990000000",
        zip="101000",
        city="Санкт-Петербург",
        address="ул. Большая Морская, дом 35, корпус 2, квартира 118",
        region="Ленинградская область",
        email="ivanov@example.com",
    ),
    payment=msgspec.structs.replace(
        ORDER.payment,
        transaction="заказ-7",
        request_id="",
        currency="RUB",
        provider="wbpay",
        amount=1_249_900,
        payment_dt=1637907727,
        bank="Альфа-Банк",
        delivery_cost=50_000,
        goods_total=1_199_900,
        custom_fee=0,
    ),
    items=with_items(3),
    locale="ru",
    delivery_service="Почта России",
)

SHARED = "shared"
"""The id of an order, and the track number and the customer id of others."""
SHARED_ORDERS = (
    order(SHARED),
    *(order(f"tracked-{i}", track_number=SHARED) for i in range(2)),
    *(order(f"bought-{i}", customer_id=SHARED) for i in range(3)),
    order("tracked-alike", track_number="alike"),
    order("bought-alike", customer_id="alike"),
)

ALL = (
    *series(8),
    ORDER,
    MARKUP_ORDER,
    EMPTY_ORDER,
    *LONG_ORDERS,
    LARGE_ORDER,
    BIG_NUMBERS_ORDER,
    RUSSIAN_ORDER,
    *SHARED_ORDERS,
    *(order(uid) for uid in STRANGE_UIDS),
)

OF_SCENARIO: dict[str, tuple[Order, ...]] = {
    "empty": (),
    "picture": (*series(7), ORDER, RUSSIAN_ORDER),
}
"""What is stored at the start, where it is not all of them."""
