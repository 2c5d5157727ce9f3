"""Authenticates API keys by a file, and keeps up with its changes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import time

import structlog

from orders.daemon_thread import in_daemon_thread
from orders.entrypoints.http.access.credentials import Claims, Denied, Grant
from orders.entrypoints.http.access.key_file import ApiKey, KeyFileError, digest, read
from orders.entrypoints.http.access.principal import Principal

WATCH_SECONDS = 1.0

log = structlog.get_logger("orders.http")


class Keys:
    """The keys in a file.

    Keys are found by their hash. How long that takes says nothing about a stored key: whoever
    presents a key cannot choose its hash bit by bit.

    If the file becomes unusable, the keys that were read last stay valid.
    """

    def __init__(self, path: Path, watch_seconds: float = WATCH_SECONDS) -> None:
        self._path = path
        self._watch_seconds = watch_seconds
        self._by_digest: dict[bytes, Grant] = {}
        self._by_id: dict[str, Grant] = {}
        self._version: object = None
        self._reported: str | None = None
        self.reload()

    def known(self, credential: bytes) -> Grant | None:
        """See ``Authenticator.known``."""
        return _if_valid(self._by_digest.get(digest(credential)))

    async def verify(self, credential: bytes) -> Grant:
        """See ``Authenticator.verify``."""
        is_expired = digest(credential) in self._by_digest
        raise Denied("expired" if is_expired else "not valid")

    def recall(self, claims: Claims) -> Principal | None:
        """See ``Authenticator.recall``."""
        grant = _if_valid(self._by_id.get(claims.id))
        if grant is None or grant.fingerprint != claims.fingerprint:
            return None
        return grant.principal

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """See ``Authenticator.running``."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch_seconds)
            try:
                await in_daemon_thread(self.reload)  # the file may be on a network
            except Exception:  # else no key could be revoked any more
                log.exception("unforeseen error")

    def reload(self) -> None:
        """Read the file if it has changed."""
        version = _version_of(self._path)
        if version == self._version and version is not None:
            return
        try:
            keys = read(self._path)
        except KeyFileError as error:
            if str(error) != self._reported:
                self._reported = str(error)
                kept = len(self._by_digest)
                log.error("keys cannot be read", reason=self._reported, kept=kept)  # noqa: TRY400
            return
        self._use(keys)
        self._version, self._reported = version, None
        log.info("keys read", keys=len(keys))

    def _use(self, keys: Sequence[ApiKey]) -> None:
        grants = {bytes.fromhex(key.sha256): _grant(key) for key in keys}
        self._by_digest = grants
        self._by_id = {grant.principal.id: grant for grant in grants.values()}


def _grant(key: ApiKey) -> Grant:
    return Grant(
        Principal(key.id, frozenset(key.scopes)),
        None if key.expires is None else key.expires.timestamp(),
        hashlib.sha256(key.sha256.encode()).hexdigest()[:16],
    )


def _if_valid(grant: Grant | None) -> Grant | None:
    if grant is None or (grant.expires is not None and grant.expires <= time()):
        return None
    return grant


def _version_of(path: Path) -> object:
    """Return a value that changes with the content, or None if there is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    # ctime: an edit in place may keep both the size and mtime, as rsync --inplace --times does.
    return found.st_dev, found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size
