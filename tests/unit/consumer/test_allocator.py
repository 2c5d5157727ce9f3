"""Large blocks go back to the system when they are freed."""

import ctypes
import subprocess
import sys

import pytest

# In a process of its own, since it holds for all of it. hblks: mappings that malloc has made.
_PROGRAM = """
import ctypes
from orders.entrypoints.consumer.allocator import BLOCK_BYTES, hand_back_large_blocks

class MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]

library = ctypes.CDLL(None)
library.mallinfo2.restype = MallInfo
if CALLED:
    hand_back_large_blocks()
bytes(16 * BLOCK_BYTES)  # freed at once: from now on glibc would take the like from its heap
before = library.mallinfo2().hblks
block = bytes(2 * BLOCK_BYTES)
print(library.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="for glibc, from 2.33 on")
@pytest.mark.parametrize(("called", "mappings"), [(True, 1), (False, 0)])
def test_a_large_block_is_a_mapping_of_its_own(called: bool, mappings: int) -> None:
    program = _PROGRAM.replace("CALLED", str(called))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) == mappings
