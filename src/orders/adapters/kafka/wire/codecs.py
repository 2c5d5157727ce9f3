"""Decompresses record batches piece by piece, so that no batch has to be in memory as a whole.

The client's own functions either have no bound (gzip, snappy, lz4) or one that is smaller than
the batches that brokers take (zstd: 1 MiB).
"""

import zlib
from collections.abc import Callable, Iterable, Iterator

import lz4.frame  # type: ignore[import-untyped]

PIECE_BYTES = 128 * 1024
"""Bytes that are decompressed at once, other than by snappy. Larger ones are slower."""
MAX_BLOCK_BYTES = 64 * 1024 * 1024
"""The most bytes of a block of snappy, which has to be decompressed as a whole."""

_PACKED_AT_ONCE = 64 * 1024  # what a decoder has not used yet is copied in each call
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER_SIZE = 16
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class UnpackError(Exception):
    """Compressed data is broken."""


class UnknownCodec(Exception):
    """A codec that this version does not know."""


def unpack(codec: int, packed: bytes) -> Iterator[bytes]:
    """Decompress the records of a batch; ``codec`` is the codec's number in the Kafka protocol.

    Raises:
        UnknownCodec: there is no such codec.
    """
    decoder = _DECODERS.get(codec)
    if decoder is None:
        raise UnknownCodec(f"compression codec {codec} is unknown")
    return iter(decoder(packed))


def next_piece(pieces: Iterator[bytes]) -> bytes:
    """Return the next of the pieces that ``unpack`` returned.

    Raises:
        UnpackError: there is none, or the data is broken.
    """
    try:
        piece = next(pieces, None)
    except (UnpackError, MemoryError, ImportError):
        raise
    except Exception as error:  # each codec raises its own, some of them builtins
        if "Allocation error" in str(error):  # zstd has none of its own for a lack of memory
            raise
        raise UnpackError(f"compressed data is broken ({type(error).__name__})") from error
    if piece is None:
        raise UnpackError("the data ends early")
    return piece


def _stored(packed: bytes) -> Iterable[bytes]:
    return (packed,)


def _gzip(packed: bytes) -> Iterator[bytes]:
    stream = None
    for part in _slices(packed):
        rest = part
        while rest:
            stream = stream or zlib.decompressobj(_GZIP_WINDOW)
            yield stream.decompress(rest, PIECE_BYTES)
            if stream.eof:  # a gzip file may have several members
                rest, stream = stream.unused_data, None
            else:
                rest = stream.unconsumed_tail
    while stream:
        piece = stream.decompress(b"", PIECE_BYTES)
        yield piece
        if stream.eof:
            return
        if not piece:
            raise UnpackError("compressed data ends early")


def _snappy(packed: bytes) -> Iterator[bytes]:
    if not packed.startswith(_XERIAL_MAGIC):
        yield _snappy_block(packed)
        return
    at = _XERIAL_HEADER_SIZE
    while at < len(packed):
        size = int.from_bytes(packed[at : at + 4], "big")
        at += 4
        if at + size > len(packed):
            raise UnpackError("compressed data ends early")
        yield _snappy_block(packed[at : at + size])
        at += size


def _snappy_block(packed: bytes) -> bytes:
    import cramjam  # noqa: PLC0415 (2 MB that few topics need)

    if cramjam.snappy.decompress_raw_len(packed) > MAX_BLOCK_BYTES:
        raise UnpackError("a block of compressed data is too large")
    return bytes(cramjam.snappy.decompress_raw(packed))


def _lz4(packed: bytes) -> Iterator[bytes]:
    stream = None
    for part in _slices(packed):
        rest = part
        while rest:
            stream = stream or lz4.frame.LZ4FrameDecompressor()
            yield stream.decompress(rest, PIECE_BYTES)
            while not (stream.eof or stream.needs_input):
                yield stream.decompress(b"", PIECE_BYTES)
            rest = b""
            if stream.eof:
                rest, stream = stream.unused_data or b"", None
    if stream:
        raise UnpackError("compressed data ends early")


def _zstd(packed: bytes) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415 (likewise)

    # A reader: frames may not state their size, and there may be several.
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    while piece := reader.read(PIECE_BYTES):
        yield piece


def _slices(packed: bytes) -> Iterable[bytes]:
    if len(packed) <= _PACKED_AT_ONCE:
        return (packed,)
    starts = range(0, len(packed), _PACKED_AT_ONCE)
    return (packed[start : start + _PACKED_AT_ONCE] for start in starts)


_DECODERS: dict[int, Callable[[bytes], Iterable[bytes]]] = {
    0: _stored,
    1: _gzip,
    2: _snappy,
    3: _lz4,
    4: _zstd,
}
