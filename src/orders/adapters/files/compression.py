"""Reads plain, gzip and zstd files as chunks of bytes, and compresses what is written."""

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, Literal

Compression = Literal["none", "gzip", "zstd"]

SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}

_CHUNK = 256 * 1024
_ZSTD_CHUNK = 1024
"""Bytes that are decompressed at once. So many become 32 MB at most; the reader of the library,
which has a bound, does not tell a file that ends early."""
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3


class BrokenFileError(Exception):
    """A compressed file is corrupt or ends early."""


def read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file, decompressed if its first bytes say so.

    Raises:
        BrokenFileError: it is corrupt or ends early; what was yielded before is right.
    """
    head = file.read(len(_ZSTD_MAGIC))
    packed = _chunks(head, file)
    if head.startswith(_GZIP_MAGIC):
        yield from _gunzip(packed)
    elif head == _ZSTD_MAGIC:
        yield from _unzstd(packed)
    else:
        yield from packed


def open_compressed(file: IO[bytes], compression: Compression) -> IO[bytes]:
    """Return a file that writes to ``file`` compressed; closing it leaves ``file`` open."""
    if compression == "gzip":
        return gzip.GzipFile("", "wb", _GZIP_LEVEL, file)  # type: ignore[return-value]
    import zstandard  # noqa: PLC0415 (the services do without it)

    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
    return compressor.stream_writer(file, closefd=False)


def _chunks(head: bytes, file: IO[bytes]) -> Iterator[bytes]:
    chunk = head
    while chunk:
        yield chunk
        chunk = file.read1(_CHUNK)  # type: ignore[attr-defined]


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(_GZIP_WINDOW)
    is_inside = False
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if stream.eof:  # a file may have several members, and zeros behind them
                    rest = rest.lstrip(b"\0")
                    stream, is_inside = zlib.decompressobj(_GZIP_WINDOW), False
                    continue
                is_inside = True
                yield stream.decompress(rest, _CHUNK)
                rest = stream.unused_data or stream.unconsumed_tail
        while is_inside and (more := stream.decompress(b"", _CHUNK)):
            yield more
    except zlib.error as error:
        raise BrokenFileError("the compressed data is corrupt") from error
    if is_inside and not stream.eof:
        raise BrokenFileError("the compressed data ends early")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415 (likewise)

    decompressor = zstandard.ZstdDecompressor()
    stream = decompressor.decompressobj()
    is_inside = False
    try:
        for chunk in chunks:
            for at in range(0, len(chunk), _ZSTD_CHUNK):
                rest = chunk[at : at + _ZSTD_CHUNK]
                while rest:
                    if stream.eof:  # there may be several frames
                        stream = decompressor.decompressobj()
                    is_inside = True
                    yield stream.decompress(rest)
                    rest = stream.unused_data if stream.eof else b""
    except zstandard.ZstdError as error:
        raise BrokenFileError("the compressed data is corrupt") from error
    if is_inside and not stream.eof:
        raise BrokenFileError("the compressed data ends early")
