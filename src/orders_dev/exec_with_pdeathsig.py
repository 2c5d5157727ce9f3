"""Executes a command that ends when the process that started it ends.

Run as a script by ``process.ChildProcess``:
``exec_with_pdeathsig.py PARENT_PID DEATH_SIGNAL COMMAND [ARGUMENT...]``.

The kernel clears a parent-death signal when credentials change, so it has to be set after
``unshare`` or ``setpriv``; and in Python it is not safe to set it between fork and exec of a
process with threads. So this script runs after the change of user, sets the signal, and executes
the command, which keeps the process id.

On macOS, which has no such signal, it stays as a guardian: it starts the command, forwards signals,
and stops it with the death signal when the parent has ended. A guardian that is itself killed with
SIGKILL leaves the command running.

It imports only some of the standard library, since it is started for every child.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT_GONE = 125
NOT_FOUND = 127
_PARENT_CHECK_SECONDS = 0.5
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def _become(parent: int, death_signal: int, command: list[str]) -> None:
    import ctypes  # noqa: PLC0415, only needed on Linux

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the signal was set
        sys.exit(PARENT_GONE)
    # Python ignores these signals, and the command would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606


def _guard(parent: int, death_signal: int, command: list[str]) -> int:
    import subprocess  # noqa: PLC0415, only needed where there is no parent-death signal

    child = subprocess.Popen(command)  # noqa: S603
    for number in _FORWARDED:
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    is_signalled = False
    while True:
        try:
            code = child.wait(_PARENT_CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            if not is_signalled and os.getppid() != parent:
                is_signalled = True
                child.send_signal(death_signal)
            continue
        return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Run the command; returns only as a guardian, or if the command cannot be started."""
    parent, death_signal, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    guard = sys.platform != "linux" or os.environ.pop("ORDERS_DEV_GUARDIAN", "") == "1"
    try:
        if guard:
            return _guard(parent, death_signal, command)
        _become(parent, death_signal, command)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
    return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
