"""A worker must not outlive the process that started it: it would keep the port to itself."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_SECONDS = 1.0


def end_with_parent(parent: int, grace: float) -> None:
    """Have this process end when its parent does, however that ends.

    On Linux the kernel says so at once, by SIGTERM; elsewhere a thread finds out within a second.
    Requests in hand get ``grace`` seconds.

    Args:
        parent: process id of the parent; it may have ended already.
        grace: seconds between SIGTERM and the hard end.
    """
    told_by_kernel = sys.platform == "linux" and _tell_me() == 0
    threading.Thread(
        target=_watch, args=(parent, grace, told_by_kernel), name="parent-watch", daemon=True
    ).start()


def _tell_me() -> int:
    """Ask the kernel for SIGTERM on the parent's death; 0 when it will."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return int(prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))


def _watch(parent: int, grace: float, told_by_kernel: bool) -> None:  # noqa: FBT001
    told_by_kernel &= os.getppid() == parent  # else it was too late to ask
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_SECONDS)
    if not told_by_kernel:  # being told twice locks a worker up
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
