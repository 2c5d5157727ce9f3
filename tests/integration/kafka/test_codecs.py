"""Compressed batches: every codec, up to what brokers take, and no further than the bound."""

import asyncio
import gzip
import os
from collections.abc import Callable
from contextlib import suppress

import cramjam
import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from kafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

from orders.adapters.kafka.client.settings import KafkaSettings
from orders.adapters.kafka.message_source import KafkaMessageSource
from orders.adapters.kafka.wire.codecs import UnpackError, unpack
from orders.adapters.kafka.wire.record_batches import UnreadableBatch
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
packers = pytest.mark.parametrize(("codec", "pack"), ENCODERS.values(), ids=list(ENCODERS))


class TestUnpack:
    @packers
    @given(data=st.binary(max_size=5_000), times=st.integers(1, 100))
    def test_gives_back_what_was_packed(
        self, codec: int, pack: Pack, data: bytes, times: int
    ) -> None:
        assert unpack(codec, pack(data * times)) == data * times

    @packers
    @pytest.mark.parametrize("data", [b"x" * 10_000, os.urandom(10_000)], ids=["packs", "random"])
    def test_the_bound_is_exact(self, codec: int, pack: Pack, data: bytes) -> None:
        assert unpack(codec, pack(data), limit=10_000) == data
        with pytest.raises(UnpackError, match="bound"):
            unpack(codec, pack(data), limit=9_999)

    @pytest.mark.parametrize(
        ("codec", "pack"),
        [(1, gzip.compress), (3, lz4.frame.compress), (4, zstandard.ZstdCompressor().compress)],
    )
    def test_several_members_count_as_one(self, codec: int, pack: Pack) -> None:
        assert unpack(codec, pack(b"a" * 10) + pack(b"b" * 10)) == b"a" * 10 + b"b" * 10
        with pytest.raises(UnpackError, match="bound"):
            unpack(codec, pack(b"a" * 10) + pack(b"b" * 10), limit=19)

    @pytest.mark.parametrize("codec", [1, 2, 3, 4])
    @given(data=st.binary(min_size=1, max_size=200))
    def test_whatever_the_bytes_are_it_ends_in_bytes_or_its_own_error(
        self, codec: int, data: bytes
    ) -> None:
        for packed in (data, b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01" + data):
            with suppress(UnpackError):
                assert isinstance(unpack(codec, packed), bytes)

    @pytest.mark.parametrize("codec", [5, 6, 7])
    def test_an_unknown_codec_is_named(self, codec: int) -> None:
        with pytest.raises(UnpackError, match=str(codec)):
            unpack(codec, b"")

    def test_what_is_stored_unpacked_is_bounded_too(self) -> None:
        assert unpack(0, b"abc", limit=3) == b"abc"
        with pytest.raises(UnpackError, match="bound"):
            unpack(0, b"abcd", limit=3)


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


async def test_what_unpacks_beyond_the_bound_ends_reading_and_says_where(
    topics: KafkaSettings, other_client: OtherClient
) -> None:
    producer = other_client.producer(
        compression_type="zstd",
        linger_ms=5_000,
        batch_size=90_000_000,
        message_max_bytes=90_000_000,
    )
    await asyncio.to_thread(other_client.send, topics.topic, b"before", partition=0)
    values = [b" " * 900_000] * 80
    await asyncio.to_thread(other_client.send_many, topics.topic, values, producer, partition=0)
    source = KafkaMessageSource(topics)
    await source.open()
    try:
        assert values_of(await receive(source, 1)) == [b"before"]
        async with asyncio.timeout(30):
            with pytest.raises(
                UnreadableBatch, match=f"{topics.topic} partition 0 .* at 1: .*bound"
            ):
                await source.receive()
    finally:
        await source.close()
