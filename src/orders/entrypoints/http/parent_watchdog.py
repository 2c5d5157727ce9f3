"""Ends a worker when its parent process ends; it would occupy the port otherwise."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 1.0


def end_with_parent(parent: int, grace: float) -> None:
    """End this process when its parent ends for whatever reason.

    On Linux the kernel sends SIGTERM at once; elsewhere a thread notices within a second.
    Requests in progress get ``grace`` seconds.

    Args:
        parent: process id of the parent; it may have ended already.
        grace: seconds from SIGTERM to the forced exit.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent, grace), name="parent-watch", daemon=True).start()


def _watch(parent: int, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)  # it had ended before the kernel was asked
    time.sleep(grace)
    os._exit(1)
