"""Orders in PostgreSQL."""

import asyncpg

from .models import Order

_OWN = [name for name in Order.model_fields if name not in {"delivery", "payment", "items"}]


def _insert(table: str, columns: list[str]) -> str:
    values = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}) ON CONFLICT DO NOTHING"


async def save(pool: asyncpg.Pool, order: Order) -> None:
    """Store it in one transaction; one that is there already stays as it is."""
    uid = {"order_uid": order.order_uid}
    own = {name: getattr(order, name) for name in _OWN}
    delivery = uid | order.delivery.model_dump()
    payment = uid | order.payment.model_dump()
    items = [
        uid | {"position": position} | item.model_dump()
        for position, item in enumerate(order.items)
    ]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_insert("orders", list(own)), *own.values())
        await connection.execute(_insert("delivery", list(delivery)), *delivery.values())
        await connection.execute(_insert("payments", list(payment)), *payment.values())
        if items:
            rows = [tuple(item.values()) for item in items]
            await connection.executemany(_insert("items", list(items[0])), rows)


async def load(pool: asyncpg.Pool, uid: str) -> Order | None:
    """The order of this uid, if there is one."""
    async with pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM orders WHERE order_uid = $1", uid)
        if row is None:
            return None
        delivery = await connection.fetchrow("SELECT * FROM delivery WHERE order_uid = $1", uid)
        payment = await connection.fetchrow("SELECT * FROM payments WHERE order_uid = $1", uid)
        items = await connection.fetch(
            "SELECT * FROM items WHERE order_uid = $1 ORDER BY position", uid
        )
    return Order.model_validate(
        dict(row)
        | {"delivery": dict(delivery), "payment": dict(payment), "items": [dict(i) for i in items]}
    )
