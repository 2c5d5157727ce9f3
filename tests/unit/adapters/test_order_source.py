"""Sources of orders: in memory, and files of all kinds."""

import gzip
import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.files.compression import read_chunks
from orders.adapters.files.order_source import FileOrderSource
from orders.adapters.files.splitting import UnclosedError, split
from orders.adapters.memory.order_source import MemoryOrderSource
from orders.domain.errors import NotFound
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.ports import OrderSource, SourceEntry, Unreadable
from tests import strategies
from tests.builders import order_bytes
from tests.contracts.order_source import Make, OrderSourceContract, entries

A, B, C = (order_bytes(uid) for uid in "abc")


class TestMemoryOrderSource(OrderSourceContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda documents: MemoryOrderSource(
            [SourceEntry(f"entry {n}", raw) for n, raw in enumerate(documents)]
        )


def as_lines(documents: Sequence[bytes]) -> bytes:
    return b"".join(document + b"\n" for document in documents)


def as_array(documents: Sequence[bytes]) -> bytes:
    return b"\xef\xbb\xbf [" + b" ,\r\n".join(documents) + b"]\n"


def as_values(documents: Sequence[bytes]) -> bytes:
    return b"\n".join(b"{\n" + document[1:] for document in documents)


FORMS = {"lines": as_lines, "array": as_array, "values": as_values}
PACKING: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "gzip members": lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]) + b"\0\0\0",
    "zstd frames": lambda data: zstandard.compress(data[:7]) + zstandard.compress(data[7:]),
}


@pytest.mark.parametrize("form", ["lines", "array"])
@pytest.mark.parametrize("packing", PACKING)
class TestFileOrderSource(OrderSourceContract):
    @pytest.fixture
    def make(self, form: str, packing: str, tmp_path: Path) -> Make:
        def made(documents: Sequence[bytes]) -> OrderSource:
            path = tmp_path / "orders.bin"  # the content shows what it is
            path.write_bytes(PACKING[packing](FORMS[form](documents)))
            return FileOrderSource([str(path)])

        return made


def chunked(data: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = next(sizes)
        yield data[at : at + size]
        at += size


@given(st.lists(strategies.orders(), max_size=4), st.sampled_from(list(FORMS)), st.randoms())
def test_any_chunking_gives_the_same_documents(
    orders: list[Order], form: str, chance: random.Random
) -> None:
    documents = [encode(order) for order in orders]
    sizes = iter(lambda: chance.choice([1, 2, 3, 7, 50, 1_000]), 0)
    found = [piece.raw for piece in split(chunked(FORMS[form](documents), sizes))]
    assert [json.loads(raw or b"") for raw in found] == list(map(json.loads, documents))


TEXTS = [
    b"[1,]",
    b"[,1]",
    b'[{"a":tru},{"b":"]},{\\"["}]',
    b'[{"a":[1},{"b":2}]',
    b"[}},{}]",
    b"[1]\n2\n\n[3]\n4",
    b'{\n"a":1}{"b":"\\\\"}\n}\n{"c"',
    b'{"a":\n{"b":1}\n\n[2]\n',
    b"[[1,2],[3]]",
    b"[[[[1,2]",
    b'["\\',
]


def places(text: bytes, size: int, most: int = 100) -> list[tuple[str, bytes | None]]:
    found: list[tuple[str, bytes | None]] = []
    try:
        found += split(iter([text[at : at + size] for at in range(0, len(text), size)]), most)
    except UnclosedError:
        found.append(("unclosed", b""))
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_any_chunking_of_broken_text_gives_the_same_pieces(text: bytes) -> None:
    assert len({tuple(places(text, size)) for size in range(1, len(text) + 1)}) == 1


@given(st.lists(st.sampled_from(list(b'[]{},"\\\n1 ')), max_size=30).map(bytes))
def test_any_chunking_of_junk_gives_the_same_pieces(text: bytes) -> None:
    assert len({tuple(places(text, size, 1_000)) for size in (1, 2, 3, 100)}) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b" \n\n", []),
        (b"[]", []),
        (b" [ \n] \n", []),
        (b"1\n\n 2 \r\n3", [("line 1", b"1"), ("line 3", b"2"), ("line 4", b"3")]),
        (b"[1,]", [("element 1", b"1"), ("element 2", b"")]),
        (
            b'[{"a":tru},{"b":"]},{\\"["}]',
            [("element 1", b'{"a":tru}'), ("element 2", b'{"b":"]},{\\"["}')],
        ),
        (b'[{"a":[1},{"b":2}]', [("element 1", b'{"a":[1}'), ("element 2", b'{"b":2}')]),
        (b"[[1,2],[3]]", [("element 1", b"[1,2]"), ("element 2", b"[3]")]),
        (b"[1", [("element 1", b"1"), ("unclosed", b"")]),
        (
            b"[1]\n2\n[3]",
            [
                ("element 1", b"1"),
                ("behind the array, line 2", b"2"),
                ("behind the array, line 3", b"[3]"),
            ],
        ),
        (
            b'{\n"a":1}{"b":2}\n{"c"',
            [("element 1", b'{\n"a":1}'), ("element 2", b'{"b":2}'), ("element 3", b'{"c"')],
        ),
    ],
)
def test_pieces_and_their_places(text: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert places(text, 100) == expected


@pytest.mark.parametrize("size", [1, 3, 1_000])
@pytest.mark.parametrize(
    ("text", "kind"), [(b"1\n%b\n3\n", "line"), (b"[1,%b,3]", "element")], ids=["lines", "array"]
)
@pytest.mark.parametrize("large", [b"2" * 200, b'"' + b"\\\\" * 100 + b'"', b"[" * 51 + b"]" * 51])
def test_what_is_too_large_is_dropped_and_the_rest_is_read(
    text: bytes, kind: str, large: bytes, size: int
) -> None:
    expected = [(f"{kind} 1", b"1"), (f"{kind} 2", None), (f"{kind} 3", b"3")]
    assert places(text % large, size) == expected


@pytest.mark.parametrize("packing", [name for name in PACKING if name != "plain"])
async def test_a_compressed_file_that_ends_early_is_reported(packing: str, tmp_path: Path) -> None:
    chance = random.Random(1)
    lines = [json.dumps(chance.random()).encode() for _ in range(20_000)]
    path = tmp_path / "orders"
    path.write_bytes(PACKING[packing](as_lines(lines)).rstrip(b"\0")[:-6])
    *read, last = await entries(FileOrderSource([str(path)]))
    assert [entry.content for entry in read][:-1] == lines[: len(read) - 1]
    assert last.position.endswith(": end")
    assert isinstance(last.content, Unreadable)
    assert "compressed data" in str(last.content.fault)


async def test_a_corrupt_file_does_not_hold_up_the_next(tmp_path: Path) -> None:
    corrupt, good = tmp_path / "corrupt", tmp_path / "good"
    corrupt.write_bytes(b"\x1f\x8bjunk that is long enough")
    good.write_bytes(A)
    first, second = await entries(FileOrderSource([str(corrupt), str(good)]))
    assert isinstance(first.content, Unreadable)
    assert second == SourceEntry(f"{good}: line 1", A)


async def test_an_array_that_is_not_closed_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "orders"
    path.write_bytes(b"[" + A + b"," + B)
    *read, last = await entries(FileOrderSource([str(path)]))
    assert [entry.content for entry in read] == [A, B]
    assert isinstance(last.content, Unreadable)
    assert last.content.code == "undecodable"


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await entries(FileOrderSource([str(tmp_path / "none")]))


def test_a_bomb_is_unpacked_in_small_chunks() -> None:
    zeros = bytes(64 * 1024 * 1024)
    for pack in (gzip.compress, zstandard.compress):
        sizes = [len(chunk) for chunk in read_chunks(io.BytesIO(pack(zeros)))]
        assert sum(sizes) == len(zeros)
        assert max(sizes) <= 32 * 1024 * 1024
