"""Decompresses record batches, with a bound on the size of the result.

The client's own functions either have no bound (gzip, snappy, lz4) or one that is smaller than
the batches that brokers take (zstd: 1 MiB).
"""

import zlib
from collections.abc import Callable

import lz4.frame  # type: ignore[import-untyped]

MAX_UNPACKED = 64 * 1024 * 1024
"""The most bytes that one record batch may decompress to. By default brokers accept 1 MB packed."""

_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_SIZE = 16
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class UnpackError(Exception):
    """A batch cannot be decompressed: corrupt, of an unknown codec, or too large."""


def unpack(codec: int, packed: bytes, limit: int = MAX_UNPACKED) -> bytes:
    """Decompress the records of a batch; ``codec`` is the codec's number in the Kafka protocol.

    Raises:
        UnpackError: they cannot be decompressed, or are more than ``limit`` bytes.
    """
    decoder = _DECODERS.get(codec)
    if decoder is None:
        raise UnpackError(f"compression codec {codec} is unknown")
    try:
        return decoder(packed, limit)
    except UnpackError:
        raise
    except Exception as error:  # each codec raises exceptions of its own, some of them builtins
        raise UnpackError(f"compressed data is broken ({type(error).__name__})") from error


def _stored(packed: bytes, limit: int) -> bytes:
    _bounded(packed, limit)
    return packed


def _gzip(packed: bytes, limit: int) -> bytes:
    unpacked = bytearray()
    while packed:  # a gzip file may have several members
        stream = zlib.decompressobj(_GZIP_WINDOW)
        unpacked += stream.decompress(packed, limit - len(unpacked) + 1)
        _bounded(unpacked, limit)
        if not stream.eof:
            raise UnpackError("compressed data ends early")
        packed = stream.unused_data
    return bytes(unpacked)


def _snappy(packed: bytes, limit: int) -> bytes:
    if not packed.startswith(_XERIAL_MAGIC):
        return _snappy_block(packed, limit)
    unpacked = bytearray()
    at = _XERIAL_HEADER_SIZE
    while at < len(packed):
        size = int.from_bytes(packed[at : at + 4], "big")
        at += 4
        if at + size > len(packed):
            raise UnpackError("compressed data ends early")
        unpacked += _snappy_block(packed[at : at + size], limit - len(unpacked))
        at += size
    return bytes(unpacked)


def _snappy_block(packed: bytes, limit: int) -> bytes:
    import cramjam  # noqa: PLC0415 (2 MB that few topics need)

    if cramjam.snappy.decompress_raw_len(packed) > limit:
        raise _too_large()
    return bytes(cramjam.snappy.decompress_raw(packed))


def _lz4(packed: bytes, limit: int) -> bytes:
    unpacked = bytearray()
    while packed:
        stream = lz4.frame.LZ4FrameDecompressor()
        unpacked += stream.decompress(packed, limit - len(unpacked) + 1)
        _bounded(unpacked, limit)
        if not stream.eof:
            raise UnpackError("compressed data ends early")
        packed = stream.unused_data or b""
    return bytes(unpacked)


def _zstd(packed: bytes, limit: int) -> bytes:
    import zstandard  # noqa: PLC0415 (likewise)

    # A reader: frames may not state their size, and there may be several.
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    unpacked = bytearray()
    while chunk := reader.read(min(1 << 20, limit - len(unpacked) + 1)):
        unpacked += chunk
        _bounded(unpacked, limit)
    return bytes(unpacked)


def _bounded(unpacked: bytes | bytearray, limit: int) -> None:
    if len(unpacked) > limit:
        raise _too_large()


def _too_large() -> UnpackError:
    return UnpackError("unpacks to more than the bound")


_DECODERS: dict[int, Callable[[bytes, int], bytes]] = {
    0: _stored,
    1: _gzip,
    2: _snappy,
    3: _lz4,
    4: _zstd,
}
