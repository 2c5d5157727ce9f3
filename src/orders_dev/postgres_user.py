"""Finds a user for PostgreSQL, which does not run as root."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orders_dev.errors import UsageError

_NOBODY = 65534
_PROBE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A way to run a program as a user other than root.

    Attributes:
        wrapper: program and arguments to prepend; empty if we are not root.
        owner: user and group id that must own the data folder, as seen from outside.
    """

    wrapper: Sequence[str]
    owner: int


def choose_user(
    folder: Path, program: Path, find: Callable[[str], str | None] = shutil.which
) -> ServerUser:
    """Find a way to run `program` on the data folder `folder`.

    For root there are two. A user namespace maps root to an ordinary user id: it creates no user,
    changes no permission, and can access root's files. If the system forbids that: the user
    "nobody" with the one capability that allows it to enter folders of root.

    Args:
        folder: an existing folder that contains the data folder.
        program: the absolute path of a program that accepts `--version`.
        find: finds a system program by its name.

    Raises:
        UsageError: we are root and neither way works.
    """
    if os.geteuid() != 0:
        return ServerUser((), os.geteuid())
    for user in _ways_down(find):
        if _works(user, folder, program):
            return user
    raise UsageError(
        "PostgreSQL does not run as root, and here root can neither create a user namespace "
        "(unshare --user) nor become another user that keeps CAP_DAC_OVERRIDE (setpriv).",
        "Run this as an ordinary user, or set ORDERS_POSTGRES_DSN to a PostgreSQL of your own.",
    )


def give(folder: Path, owner: int) -> None:
    """Change the owner of `folder` and its contents to `owner`, as root."""
    if folder.stat().st_uid == owner:
        return
    for parent, _folders, files in os.walk(folder):
        for name in files:
            os.lchown(Path(parent, name), owner, owner)
        os.lchown(parent, owner, owner)


def _ways_down(find: Callable[[str], str | None]) -> list[ServerUser]:
    ways = []
    if unshare := find("unshare"):
        ways.append(ServerUser((unshare, "--user", "--map-user=1000", "--map-group=1000"), 0))
    if setpriv := find("setpriv"):
        capability = "-all,+dac_override"
        ways.append(
            ServerUser(
                (
                    *(setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"),
                    *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
                    *(f"--bounding-set={capability}", "--no-new-privs"),
                ),
                _NOBODY,
            )
        )
    return ways


def _works(user: ServerUser, folder: Path, program: Path) -> bool:
    # By writing a file, since `test -w` checks the user and ignores the capability.
    script = ': > "$1/.probe" && rm "$1/.probe" && exec "$2" --version'
    try:
        probe = subprocess.run(  # noqa: S603
            [*user.wrapper, "/bin/sh", "-c", script, "sh", str(folder), str(program)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
