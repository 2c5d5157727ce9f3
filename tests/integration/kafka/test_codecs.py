"""Compressed batches: every codec, up to what brokers take, and few bytes at a time."""

import asyncio
import gzip
import os
from collections.abc import Callable, Iterator

import cramjam
import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from kafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.wire import codecs
from orders.adapters.kafka.wire.codecs import (
    PIECE_BYTES,
    UnknownCodec,
    UnpackError,
    next_piece,
    unpack,
)
from tests.contracts.message_source import receive, values_of
from tests.integration.kafka.other_client import OtherClient

Pack = Callable[[bytes], bytes]

ENCODERS = {
    "gzip": (1, gzip_encode),
    "snappy": (2, snappy_encode),
    "snappy, bare": (2, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "lz4": (3, lz4_encode),
    "zstd": (4, zstd_encode),
    "zstd, size unknown": (
        4,
        zstandard.ZstdCompressor(write_content_size=False).compress,
    ),
}
SEVERAL = [(1, gzip.compress), (3, lz4.frame.compress), (4, zstandard.ZstdCompressor().compress)]
packers = pytest.mark.parametrize(("codec", "pack"), ENCODERS.values(), ids=list(ENCODERS))


def drain(pieces: Iterator[bytes]) -> None:
    """Take the pieces up to the error that ends them."""
    while True:
        assert isinstance(next_piece(pieces), bytes)


class TestUnpack:
    @packers
    @given(data=st.binary(max_size=5_000), times=st.integers(1, 100))
    def test_gives_back_what_was_packed(
        self, codec: int, pack: Pack, data: bytes, times: int
    ) -> None:
        assert b"".join(unpack(codec, pack(data * times))) == data * times

    @pytest.mark.parametrize("codec", [1, 3, 4])
    @pytest.mark.parametrize("unit", [b"x", os.urandom(1_000)], ids=["packs", "packs less"])
    def test_few_bytes_are_unpacked_at_once(self, codec: int, unit: bytes) -> None:
        [pack] = [pack for number, pack in SEVERAL if number == codec]
        data = unit * (10_000_000 // len(unit))
        pieces = list(unpack(codec, pack(data)))
        assert max(len(piece) for piece in pieces) <= PIECE_BYTES
        assert b"".join(pieces) == data

    def test_a_block_of_snappy_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(codecs, "MAX_BLOCK_BYTES", 1_000)
        assert next_piece(unpack(2, snappy_encode(bytes(1_000)))) == bytes(1_000)
        with pytest.raises(UnpackError, match="too large"):
            next_piece(unpack(2, snappy_encode(bytes(1_001))))

    @pytest.mark.parametrize(("codec", "pack"), SEVERAL)
    def test_several_members_count_as_one(self, codec: int, pack: Pack) -> None:
        packed = pack(b"a" * 10) + pack(b"b" * 10)
        assert b"".join(unpack(codec, packed)) == b"a" * 10 + b"b" * 10

    @packers
    def test_what_is_cut_off_ends_in_its_own_error(self, codec: int, pack: Pack) -> None:
        pieces = unpack(codec, pack(os.urandom(1_000_000))[:-20])
        with pytest.raises(UnpackError):
            drain(pieces)

    @pytest.mark.parametrize("codec", [1, 2, 3, 4])
    @given(data=st.binary(min_size=1, max_size=200))
    def test_whatever_the_bytes_are_it_ends_in_its_own_error(self, codec: int, data: bytes) -> None:
        for packed in (data, b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01" + data):
            pieces = unpack(codec, packed)
            with pytest.raises(UnpackError):
                drain(pieces)

    @pytest.mark.parametrize("codec", [5, 6, 7])
    def test_an_unknown_codec_is_named(self, codec: int) -> None:
        with pytest.raises(UnknownCodec, match=str(codec)):
            unpack(codec, b"")

    def test_a_lack_of_memory_is_not_the_datas_fault(self) -> None:
        def pieces() -> Iterator[bytes]:
            raise MemoryError
            yield b""

        with pytest.raises(MemoryError):
            next_piece(pieces())


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_reads_what_another_client_has_compressed(
    codec: str, topics: KafkaSettings, other_client: OtherClient
) -> None:
    values = [b'{"n": %d, "text": "%s"}' % (n, b"order " * 200) for n in range(1_000)]
    producer = other_client.producer(compression_type=codec, linger_ms=50)
    await asyncio.to_thread(other_client.send_many, topics.topic, values, producer)
    source = KafkaMessageSource(topics)
    await source.open()
    try:
        assert values_of(await receive(source, len(values))) == sorted(values)
    finally:
        await source.close()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_reads_batches_that_unpack_to_far_more_than_a_megabyte(
    codec: str, topics: KafkaSettings, other_client: OtherClient
) -> None:
    values = [b"%d" % n + b" " * 900_000 for n in range(9)]
    producer = other_client.producer(
        compression_type=codec, linger_ms=500, batch_size=50_000_000, message_max_bytes=50_000_000
    )
    await asyncio.to_thread(other_client.send_many, topics.topic, values, producer, partition=0)
    source = KafkaMessageSource(topics)
    await source.open()
    try:
        assert values_of(await receive(source, len(values))) == values
    finally:
        await source.close()
