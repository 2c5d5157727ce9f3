"""The file of API keys: its format, and how it is edited.

A key is 256 random bits, so the file keeps a plain SHA-256 of it. A slow hash (argon2, bcrypt) is
for passwords, which can be guessed; 256 random bits cannot, and a slow hash for every request would
only be a way to keep the service busy.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from orders.entrypoints.http.access.scopes import ScopeName

MAX_BYTES = 1_000_000
_PREFIX = "orders"
"""The beginning of all keys, by which scanners for secrets recognize them."""
_ID_BYTES = 4
_SECRET_BYTES = 32
_NEW_FILE_MODE = 0o640

_Moment = Annotated[datetime, Meta(tz=True)]


class ApiKey(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as it is stored: ``sha256`` of the key itself, in hexadecimal."""

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    name: str
    scopes: Annotated[tuple[ScopeName, ...], Meta(min_length=1)]
    created: _Moment
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    expires: _Moment | None = None


class _Content(Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[ApiKey, ...]


class KeyFileError(Exception):
    """The file cannot be used; the text says why, without anything from it."""


def digest(key: bytes) -> bytes:
    """Return the hash of a key."""
    return hashlib.sha256(key).digest()


def new_key(
    name: str, scopes: Sequence[ScopeName], created: datetime, expires: datetime | None
) -> tuple[ApiKey, str]:
    """Create a key; returns what is stored, and the key itself, which is not."""
    key_id = secrets.token_hex(_ID_BYTES)
    # With the id in it, a key that has leaked can be found in the list and revoked.
    key = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    hashed = digest(key.encode()).hex()
    return ApiKey(key_id, name, tuple(scopes), created, hashed, expires), key


def read(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys in a file.

    Raises:
        KeyFileError: it cannot be read, or is not in the format.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) else None
        raise KeyFileError(f"cannot be read ({text or 'not a path'})") from None
    if len(content) > MAX_BYTES:
        raise KeyFileError(f"is larger than {MAX_BYTES} bytes")
    try:
        keys = msgspec.json.decode(content, type=_Content).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeyFileError("is not a file of `orders keys`") from None
    for field in ("id", "sha256"):
        if len({getattr(key, field) for key in keys}) < len(keys):
            raise KeyFileError(f"has two keys with the same {field}")
    return keys


def edit(
    path: Path, change: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]], *, create: bool = False
) -> None:
    """Replace the keys in a file at once; others read the old ones or the new ones.

    Edits at the same time, also by other processes, wait for each other. Mode and owner stay. With
    ``create``, a file that does not exist is created.

    Raises:
        KeyFileError: the file cannot be read or written.
    """
    target = path.resolve()  # a link stays a link
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeyFileError(f"cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        is_new = create and not target.exists()
        keys = change(() if is_new else read(target))
        _replace(target, msgspec.json.format(msgspec.json.encode(_Content(keys)), indent=2) + b"\n")
        os.fsync(folder)
    except OSError as error:
        raise KeyFileError(f"cannot be written ({error.strerror})") from None
    finally:
        os.close(folder)


def _replace(target: Path, content: bytes) -> None:
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            if target.exists():
                before = target.stat()
                os.fchmod(file.fileno(), before.st_mode & 0o7777)
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
            else:
                os.fchmod(file.fileno(), _NEW_FILE_MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(file.name).unlink()
            raise
