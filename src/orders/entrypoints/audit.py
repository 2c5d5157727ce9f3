"""The audit log: who did what with which orders, in a stream of its own."""

import errno
import hmac
import os
import pwd
import socket
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from orders.config import Settings
from orders.domain.errors import Unavailable

_CHECK_SECONDS = 1.0
"""Seconds between two looks at whether the file was rotated."""
_HASH_DIGITS = 32
_STREAMS = ("stdout", "stderr")
_DELETIONS = ("forgot", "purged")

UNAUTHORIZED = "unauthorized"
"""The code of that error."""

_encode = msgspec.json.Encoder().encode

log = structlog.get_logger(__name__)


class Audit:
    """Writes a line of JSON for each action.

    With a ``key``, orders are named by a keyed hash of their order_uid: without the key nobody can
    try out which order_uid a hash belongs to.
    """

    def __init__(self, write: Callable[[bytes], None], process: str, key: str | None) -> None:
        self._write = write
        self._process = process
        self._key = key.encode() if key else None

    def record(
        self,
        event: str,
        order_uids: Iterable[str],
        who: Mapping[str, str],
        outcome: str = "ok",
        **more: object,
    ) -> None:
        """Record an action.

        A request without a valid key or token is not recorded: nobody is known who did it, and
        anybody could fill the log.

        Args:
            event: what was done, such as ``read``.
            order_uids: the orders. Those of an error are left out unless they are hashed: a client
                may ask for any text, also for personal data. A deletion that fails because the
                store is down may have come through, so it has them: after a restore of the
                database nothing else tells which orders they were.
            who: who did it, and from where. A ``subject`` may name a person: it is hashed, and
                left out without a key.
            outcome: ``ok``, or the code of the error.
            more: further fields, without personal data.
        """
        if outcome == UNAUTHORIZED:
            return
        who = dict(who)
        subject = who.pop("subject", None)
        if subject is not None and self._key is not None:
            who["who"] = f"token:{self._name(subject)}"
        may_be_deleted = outcome == Unavailable.code and event in _DELETIONS
        is_named = outcome == "ok" or may_be_deleted or self._key is not None
        line = {
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "logger": "orders.audit",
            "event": event,
            "outcome": outcome,
            "orders": [self._name(uid) for uid in order_uids] if is_named else [],
            **who,
            **more,
            "process": self._process,
        }
        self._write(_encode(line) + b"\n")

    def _name(self, order_uid: str) -> str:
        if self._key is None:
            return order_uid
        text = order_uid.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, "sha256").hex()[:_HASH_DIGITS]


class AuditWriter:
    """Writes lines, each in one call unless the disk becomes full.

    A line that cannot be written is lost: the log says so once, and the work goes on.
    """

    def __init__(self) -> None:
        self._failed = False
        self._is_cut = False  # the latest line, by a disk that became full

    def __call__(self, line: bytes) -> None:
        """Write a line."""
        try:
            file = self._ready()
            # Else this line would continue the one that was cut, and be lost as well.
            rest = b"\n" + line if self._is_cut else line
            while rest:
                written = os.write(file, rest)
                self._is_cut = written < len(rest)
                rest = rest[written:]
        except OSError as error:
            if not self._failed:
                log.error("audit cannot be written", reason=error.strerror)  # noqa: TRY400
            self._failed = True
        else:
            self._failed = False

    @abstractmethod
    def _ready(self) -> int:
        """Return the number of the open file; raises OSError."""


class AuditStream(AuditWriter):
    """Writes to standard output or standard error, between the lines that others write there."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def _ready(self) -> int:
        stream = getattr(sys, self._name)
        if stream is None:  # it was closed when the process started
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        stream.flush()
        return int(stream.fileno())


class AuditFile(AuditWriter):
    """Appends to a file; opens it again after it was rotated."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file = -1
        self._opened: tuple[int, int] | None = None
        self._check_at = 0.0

    def _ready(self) -> int:
        if self._failed or time.monotonic() >= self._check_at:
            self._reopen_if_rotated()
        return self._file

    def _reopen_if_rotated(self) -> None:
        try:
            found = self._path.stat()
            now: tuple[int, int] | None = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            now = None
        if self._opened is None or now != self._opened:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            self._is_cut = False
            opened = os.fstat(self._file)
            self._opened = (opened.st_dev, opened.st_ino)
        self._check_at = time.monotonic() + _CHECK_SECONDS


def open_audit(settings: Settings, process: str) -> Audit | None:
    """Return the audit of this process, or None if there is to be none."""
    target = settings.audit_log
    if target is None:
        return None
    write = AuditStream(target) if target in _STREAMS else AuditFile(Path(target))
    return Audit(write, process, settings.audit_key)


def operator() -> dict[str, str]:
    """Who runs this command, and on which machine."""
    try:  # not by the environment, which anybody can set
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return {"who": f"os:{name}", "from": socket.gethostname()}
