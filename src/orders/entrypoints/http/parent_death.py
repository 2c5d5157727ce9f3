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

    On Linux the kernel says so at once, by SIGTERM. Elsewhere, and where nobody listens to SIGTERM
    yet, a thread finds out within a second. Requests in hand get ``grace`` seconds.

    Args:
        parent: process id of the parent; it may have ended already.
        grace: seconds between SIGTERM and the hard end.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent, grace), name="parent-watch", daemon=True).start()


def _watch(parent: int, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
