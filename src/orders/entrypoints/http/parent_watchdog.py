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
    signalled_by_kernel = sys.platform == "linux" and _request_signal() == 0
    threading.Thread(
        target=_watch, args=(parent, grace, signalled_by_kernel), name="parent-watch", daemon=True
    ).start()


def _request_signal() -> int:
    """Have the kernel send SIGTERM when the parent ends; returns 0 on success."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return int(prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))


def _watch(parent: int, grace: float, signalled_by_kernel: bool) -> None:  # noqa: FBT001
    signalled_by_kernel &= os.getppid() == parent  # else it had ended before the request
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    if not signalled_by_kernel:  # a second signal would lock up a worker
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
