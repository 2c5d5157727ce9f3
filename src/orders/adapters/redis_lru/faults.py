"""Says in plain words why Redis fails, without addresses and secrets."""

import re
import ssl
from collections.abc import Iterator
from socket import gaierror
from typing import NamedTuple

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from orders.adapters.redis_lru.sentinel import MasterDownError, UnknownServiceError

_SETTING = "ORDERS_REDIS_URL"
_NAMES = re.compile(r", certificate is not valid for .*")

_ACL = "deploy/redis/users.acl lists what this user has to be allowed; a cluster needs more"
_DENIED = re.compile(r"ACL failure|user executing the script can't")
"""How servers say that a command in a script is denied: the client has no error for that."""

_REPLIES = (
    (
        (AuthenticationError, AuthorizationError),
        "rejects this user or this password",
        f"correct them in {_SETTING}",
    ),
    (BusyLoadingError, "is loading its data", "wait, and run this again"),
    (
        ReadOnlyError,
        "it is a replica and accepts no writes",
        f"name the primary in {_SETTING}; with sentinels, wait for the failover to end",
    ),
    (
        MovedError,
        "it is a node of a cluster",
        f"use redis+cluster:// in {_SETTING}",
    ),
    (
        (ClusterDownError, SlotNotCoveredError),
        "the cluster is down, or a part of it that is needed",
        "wait for the failover to end; if it does not, see CLUSTER INFO and CLUSTER NODES",
    ),
    (
        OutOfMemoryError,
        "its memory is full",
        "raise maxmemory, or choose another maxmemory-policy",
    ),
)


class RedisFault(NamedTuple):
    """What is wrong with the server or the way to it, and the step to take."""

    text: str
    advice: str


def fault_of(error: Exception) -> RedisFault:
    """Describe an exception of the client; its causes are considered too.

    The client lets exceptions of any type through, so any is described.
    """
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, MasterNotFoundError):
            return _no_master(link)
    for describe in (_tls, _denied, _reply, _network, _unreachable):
        for link in chain:
            if fault := describe(link):
                return fault
    name = type(error).__name__
    return RedisFault(f"the client failed with {name}", f"check its log, and {_SETTING}")


def _no_master(error: MasterNotFoundError) -> RedisFault:
    if isinstance(error, UnknownServiceError):
        advice = f"correct the service in {_SETTING}; SENTINEL MASTERS lists those they monitor"
        return RedisFault("the sentinels monitor no service of this name", advice)
    if isinstance(error, MasterDownError):
        advice = "wait for the failover to end; if it does not, see SENTINEL MASTER and their logs"
        return RedisFault("the sentinels see no master that is up", advice)
    cause = error.__cause__
    if isinstance(cause, NoPermissionError):
        return RedisFault("the sentinels refuse SENTINEL MASTERS", "allow it to sentinel_username")
    if isinstance(cause, ResponseError) and "unknown command" in str(cause).lower():
        return RedisFault("what listens is not a sentinel", f"name the sentinels in {_SETTING}")
    text, advice = fault_of(cause) if isinstance(cause, Exception) else ("", "")
    if isinstance(cause, AuthenticationError):
        advice = f"correct sentinel_username and sentinel_password in {_SETTING}"
    return RedisFault(f"no sentinel can be asked: {text}", advice)


def _tls(error: BaseException) -> RedisFault | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _NAMES.sub("", error.verify_message)
        return RedisFault(
            f"its certificate is not accepted: {reason}",
            f"set ssl_ca_certs in {_SETTING} to the CA that signed it, and use the name in it",
        )
    if isinstance(error, ssl.SSLError):
        # Errors that Python raises itself have no reason.
        reason = getattr(error, "reason", None) or "handshake failed"
        reason = reason.replace("_", " ").lower()
        advice = f"check that the port speaks TLS, and the ssl_ options in {_SETTING}"
        return RedisFault(f"TLS fails: {reason}", advice)
    if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)):
        return RedisFault(
            "a certificate or key file cannot be read", f"correct the ssl_ options in {_SETTING}"
        )
    return None


def is_denied(error: BaseException) -> bool:
    """Whether this user lacks a right, in a script or before it."""
    return isinstance(error, NoPermissionError) or (
        isinstance(error, ResponseError) and _DENIED.search(str(error)) is not None
    )


def _denied(error: BaseException) -> RedisFault | None:
    if not is_denied(error):
        return None
    text = str(error)
    if command := re.search(r"run the '([a-z|]+)' command", text):
        return RedisFault(f"this user may not run {command[1].upper()}", _ACL)
    if "key" in text:
        return RedisFault("this user may not use the keys of the cache", _ACL)
    return RedisFault("this user may not run the scripts", _ACL)


def _reply(error: BaseException) -> RedisFault | None:
    for kind, text, advice in _REPLIES:
        if isinstance(error, kind):
            return RedisFault(text, advice)
    if isinstance(error, ResponseError) and "cluster support disabled" in str(error):
        return RedisFault("it is not a node of a cluster", f"use redis:// in {_SETTING}")
    if isinstance(error, ResponseError):
        code = str(error).partition(" ")[0]
        shown = code if re.fullmatch(r"[A-Z]{2,20}", code) else "an error"
        return RedisFault(f"it answers {shown}", "check its log and its version")
    return None


def _network(error: BaseException) -> RedisFault | None:
    if isinstance(error, (NoAnswer, TimeoutError)):
        advice = "check its machine, its load, and the firewalls in between"
        return RedisFault("does not answer in time", advice)
    if isinstance(error, gaierror):
        return RedisFault("its name cannot be resolved", f"correct {_SETTING}, or the DNS")
    if isinstance(error, ConnectionRefusedError):
        return RedisFault("refuses connections", f"start it, or correct {_SETTING}")
    if isinstance(error, (ConnectionError, EOFError)) or (
        isinstance(error, NoConnection) and "closed" in str(error)
    ):
        advice = f"check its log; if its port speaks TLS, use rediss:// in {_SETTING}"
        return RedisFault("closes the connection", advice)
    return None


def _unreachable(error: BaseException) -> RedisFault | None:
    if isinstance(error, RedisClusterException) and "not covered" in str(error):
        return fault_of(ClusterDownError("CLUSTERDOWN"))
    if isinstance(error, (NoConnection, OSError, RedisClusterException)):
        return RedisFault("cannot be reached", f"start it, or correct {_SETTING}")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if not isinstance(link, NoScriptError):  # the script is sent then
            yield link
        link = link.__cause__ or link.__context__
