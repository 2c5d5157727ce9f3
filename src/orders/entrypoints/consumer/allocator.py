"""Configures glibc's allocator for the consumer."""

import asyncio
import ctypes

BLOCK_BYTES = 8 * 1024 * 1024
"""Blocks up to this size come from the heap, and this much free memory is retained."""

TRIM_INTERVAL = 5.0
"""Seconds between two times that free memory is returned, which takes a millisecond or two."""

_M_TRIM_THRESHOLD = -1  # names and numbers of glibc's <malloc.h>
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def use_one_heap() -> None:
    """Make glibc use one heap for all threads, also for large blocks; call it before threads start.

    By default each thread has a heap of its own, whose free memory other threads cannot use, and
    large blocks are returned to the system and mapped again, page by page (docs/performance.md).
    Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, BLOCK_BYTES)
    mallopt(_M_TRIM_THRESHOLD, BLOCK_BYTES)


async def trim_heap() -> None:
    """Return free memory of the heap to the system from time to time; runs until cancelled.

    By itself glibc returns only what is free at the heap's end, so what a backlog has taken would
    stay with the process. Other C libraries are left as they are.
    """
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return
    while True:
        await asyncio.sleep(TRIM_INTERVAL)
        malloc_trim(0)
