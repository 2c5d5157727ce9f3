"""Every field of an order is seen on the page, or is known to stand in its JSON only."""

import re

from msgspec import Struct

from orders.domain.order.model import Delivery, Item, Order, Payment
from orders.entrypoints.http.page.assets import FILES

NESTED: dict[str, type[Struct]] = {"delivery": Delivery, "payment": Payment}
JSON_ONLY = {
    *("entry", "shardkey", "sm_id", "oof_shard"),
    *("item.chrt_id", "item.track_number", "item.rid", "item.sale", "item.total_price"),
    "item.nm_id",
}
"""Fields for other services, and what a narrow table of items has no room for."""


def fields(struct: type[Struct], prefix: str = "") -> set[str]:
    return {prefix + name for name in struct.__struct_fields__}


def shown(page: str, template: str) -> set[str]:
    found = re.search(rf'<template id="{template}">(.*?)</template>', page, re.DOTALL)
    assert found
    return set(re.findall(r'data-field="([\w.]+)"', found[1]))


def test_each_field_has_its_place() -> None:
    page = FILES.joinpath("page.html").read_text()
    rows = shown(page, "state-found") - {"items.length"}
    rows |= {f"item.{name}" for name in shown(page, "item")}
    own = fields(Order) - {"items", *NESTED}
    nested = {name for part, struct in NESTED.items() for name in fields(struct, f"{part}.")}
    assert rows | JSON_ONLY == own | nested | fields(Item, "item.")
    assert not rows & JSON_ONLY
