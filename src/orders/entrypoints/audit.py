"""The audit log: who did what with which orders, in a stream of its own."""

import hmac
import os
import pwd
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from orders.config import Settings

_CHECK_SECONDS = 1.0
"""Seconds between two looks at whether the file was rotated."""
_HASH_DIGITS = 32
_STREAMS = ("stdout", "stderr")

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
            order_uids: the orders; they must exist, unless they are hashed: a client may ask for
                any text, also for personal data.
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
        is_known = outcome == "ok" or self._key is not None
        line = {
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "logger": "orders.audit",
            "event": event,
            "outcome": outcome,
            "orders": [self._name(uid) for uid in order_uids] if is_known else [],
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


class AuditFile:
    """Appends lines to a file, each in one call; opens it again after it was rotated.

    A line that cannot be written is lost: the log says so once, and the work goes on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._opened: tuple[int, int] | None = None
        self._check_at = 0.0
        self._failed = False

    def __call__(self, line: bytes) -> None:
        """Write a line."""
        try:
            if time.monotonic() >= self._check_at:
                self._reopen_if_rotated()
            os.write(self._file, line)
        except OSError as error:
            if not self._failed:
                log.error("audit cannot be written", reason=error.strerror)  # noqa: TRY400
            self._failed = True
            self._check_at = 0.0
        else:
            self._failed = False

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
            opened = os.fstat(self._file)
            self._opened = (opened.st_dev, opened.st_ino)
        self._check_at = time.monotonic() + _CHECK_SECONDS


def open_audit(settings: Settings, process: str) -> Audit | None:
    """Return the audit of this process, or None if there is to be none."""
    target = settings.audit_log
    if target is None:
        return None
    write = _stream_writer(target) if target in _STREAMS else AuditFile(Path(target))
    return Audit(write, process, settings.audit_key)


def operator() -> dict[str, str]:
    """Who runs this command, and on which machine."""
    try:  # not by the environment, which anybody can set
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return {"who": f"os:{name}", "from": socket.gethostname()}


def _stream_writer(name: str) -> Callable[[bytes], None]:
    def write(line: bytes) -> None:
        stream = getattr(sys, name)
        try:
            stream.write(line.decode())
            stream.flush()
        except (OSError, ValueError):
            pass

    return write
