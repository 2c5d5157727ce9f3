"""Threads share one heap of the C library's, whose free memory is returned."""

import ctypes
import subprocess
import sys

import pytest

# In a process of its own, since it holds for all of it. A heap of a thread is a mapping of 64 MiB,
# most of it not to be touched yet.
_PROGRAM = """
import ctypes, threading
from pathlib import Path
from orders.entrypoints.consumer.allocator import use_one_heap

if CALLED:
    use_one_heap()
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
heap = next(line for line in Path("/proc/self/maps").read_text().splitlines() if "[heap]" in line)
begin, end = (int(each, 16) for each in heap.split()[0].split("-"))
found = []

def allocate():
    found.append(begin <= malloc(40_000) < end + 64 * 2**20)

thread = threading.Thread(target=allocate)
thread.start()
thread.join()
print(found)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo"), reason="this is about glibc")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("called", [True, False])
def test_a_thread_takes_memory_from_the_one_heap(called: bool) -> None:
    program = _PROGRAM.replace("CALLED", str(called))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == f"[{called}]"


_BACKLOG = """
import asyncio, ctypes
from pathlib import Path
from orders.entrypoints.consumer import allocator

allocator.use_one_heap()
allocator.TRIM_INTERVAL = 0
C = ctypes.CDLL(None)
C.malloc.restype, C.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
C.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

async def trim():
    task = asyncio.create_task(allocator.trim_heap())
    while TRIMMED and resident() > taken - 60e6:
        await asyncio.sleep(0)
    task.cancel()

blocks = [C.malloc(40_000) for _ in range(2_000)]
for block in blocks:
    ctypes.memset(block, 1, 40_000)
for block in blocks[:-1]:  # the last one is at the end of the heap
    C.free(block)
taken = resident()
asyncio.run(trim())
print(resident() < taken - 60e6)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this is about glibc")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("trimmed", [True, False])
def test_free_memory_below_the_end_of_the_heap_is_returned(trimmed: bool) -> None:
    program = _BACKLOG.replace("TRIMMED", str(trimmed))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == f"{trimmed}"
