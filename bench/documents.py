"""The orders of the bench: their documents, their rows, and what the tables must hold of them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from drills.stored import instant
from orders.adapters.random_orders.order_generator import RandomOrderGenerator
from orders.domain.order.document import encode

Document = dict[str, Any]

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_ITEM = (
    *("chrt_id", "track_number", "price", "rid", "name", "sale", "size", "total_price"),
    *("nm_id", "brand", "status"),
)
COLUMNS = {
    "orders": (
        *("order_uid", "track_number", "entry", "locale", "internal_signature", "customer_id"),
        *("delivery_service", "shardkey", "sm_id", "date_created", "oof_shard"),
    ),
    "delivery": ("order_uid", "name", "phone", "zip", "city", "address", "region", "email"),
    "payments": (
        *("order_uid", "transaction", "request_id", "currency", "provider", "amount"),
        *("payment_dt", "bank", "delivery_cost", "goods_total", "custom_fee"),
    ),
    "items": ("order_uid", "position", *_ITEM),
}
"""The four tables in the order in which they are filled; the key comes first."""

_TEMPLATES = 2_000
_AT = {name: at for at, name in enumerate(COLUMNS["orders"])}

Rows = dict[str, list[str]]
"""Lines of COPY's text format by table."""


def uid_of(number: int) -> str:
    """The order_uid of the order of this number; SQL says the same by ``UID_SQL``."""
    return hashlib.md5(b"bench-%d" % number, usedforsecurity=False).hexdigest()


UID_SQL = "md5('bench-' || {}::text)"


class Made(NamedTuple):
    """Orders of consecutive numbers, as the canonical bytes that are sent and to be answered."""

    first: int
    values: Sequence[bytes]

    @property
    def uids(self) -> list[str]:
        """Their order_uids, in their order."""
        return [uid_of(self.first + at) for at in range(len(self.values))]

    @property
    def arrays(self) -> list[bytes]:
        """The same orders as arrays of a hundred."""
        parts = range(0, len(self.values), 100)
        return [b"[" + b",".join(self.values[at : at + 100]) + b"]" for at in parts]


def make(first: int, amount: int) -> Made:
    """Valid orders; the same for the same numbers, but that all of them come as one sequence."""
    moments = (_BEGIN + timedelta(seconds=first + at, microseconds=at % 7) for at in range(amount))
    generator = RandomOrderGenerator(Random(first), lambda: next(moments))
    values = []
    for number, order in enumerate(generator.generate(amount), first):
        made = order.order_uid.encode()
        values.append(encode(order).replace(made, uid_of(number).encode()))
    return Made(first, values)


def other_content(value: bytes) -> bytes:
    """An order of the same uid that is not the same."""
    document = json.loads(value)
    document["customer_id"] += "-other"
    return json.dumps(document).encode()


def rows(values: Iterable[bytes]) -> Rows:
    """What the four tables hold of these orders."""
    found: Rows = {table: [] for table in COLUMNS}
    for value in values:
        document: Document = json.loads(value)
        uid = document["order_uid"]
        document["date_created"] = _timestamp(instant(document["date_created"]))
        found["orders"].append(_line(document[name] for name in COLUMNS["orders"]))
        for table, part in (("delivery", "delivery"), ("payments", "payment")):
            values_of = document[part]
            found[table].append(_line((uid, *(values_of[n] for n in COLUMNS[table][1:]))))
        for position, item in enumerate(document["items"]):
            found["items"].append(_line((uid, position, *(item[name] for name in _ITEM))))
    return found


def digests(held: Rows) -> dict[str, str]:
    """What ``place.digests`` finds where exactly these rows are stored, by table."""
    return {table: _digest(sorted(lines, key=_key)) for table, lines in held.items()}


def write(held: Rows, folder: Path) -> dict[str, Path]:
    """A file for each table, for COPY."""
    files = {table: folder / f"{table}.copy" for table in held}
    for table, file in files.items():
        with file.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(held[table])
    return files


def write_many(amount: int, folder: Path, first: int = 0) -> dict[str, Path]:
    """Files of so many orders from the number ``first`` on, each made from one of the templates.

    Uids, tracks, customers and dates are each order's own; the rest is its template's.
    """
    files = {table: folder / f"{table}.copy" for table in COLUMNS}
    chance = Random(first)
    for table, file in files.items():
        parts = _templates()[table]
        with file.open("w", encoding="utf-8", newline="\n") as out:
            for number in range(first, first + amount):
                lines = uid_of(number).join(parts[number % _TEMPLATES])
                if table == "orders":
                    lines = _own(lines, number, chance)
                out.write(lines)
    return files


@cache
def _templates() -> dict[str, list[list[str]]]:
    """The rows of some orders by table, cut where their uid stands."""
    made = make(0, _TEMPLATES)
    found: dict[str, list[list[str]]] = {table: [] for table in COLUMNS}
    for uid, value in zip(made.uids, made.values, strict=True):
        for table, lines in rows([value]).items():
            found[table].append("".join(lines).split(uid))
    return found


def _own(line: str, number: int, chance: Random) -> str:
    cells = line.split("\t")
    cells[_AT["track_number"]] = f"WB{cells[0][:12].upper()}"
    cells[_AT["customer_id"]] = f"customer-{1 + int(chance.random() * 100_000)}"
    cells[_AT["date_created"]] = _timestamp(_BEGIN + timedelta(seconds=number))
    return "\t".join(cells)


def _key(line: str) -> tuple[str, int]:
    uid, _, rest = line.partition("\t")
    position = rest.partition("\t")[0]
    return uid, int(position) if position.isdigit() and len(position) < 4 else 0


def _line(cells: Iterable[Any]) -> str:
    return "\t".join([_escaped(cell) if type(cell) is str else str(cell) for cell in cells]) + "\n"


def _escaped(text: str) -> str:
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        text = text.replace("\\", "\\\\").replace("\t", "\\t")
        text = text.replace("\n", "\\n").replace("\r", "\\r")
    return text


def _timestamp(moment: datetime) -> str:
    """As PostgreSQL writes it in a session in UTC."""
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}+00"


def _digest(lines: Iterator[str] | Sequence[str]) -> str:
    found = hashlib.sha256()
    for line in lines:
        found.update(line.encode())
    return found.hexdigest()
