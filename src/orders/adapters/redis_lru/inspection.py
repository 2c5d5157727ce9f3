"""Inspects the cache for `orders doctor`."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha1

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from orders.adapters.redis_lru.cache import DROP, FORGET, GET, PUT, TOUCH
from orders.adapters.redis_lru.client import Client, client_factory, close, master_finder
from orders.adapters.redis_lru.faults import fault_of, is_denied
from orders.domain.ports import Finding, Inspection

PART = "redis"
_finding = partial(Finding, PART)

_SECONDS = 1.5
_SLOW_MS = 50.0
"""Half of the time that an operation of the cache may take."""
_NEARLY_FULL = 0.95
_TRIALS = (
    (PUT, "'0', '1', 'a', 'x', 'b', 'y'"),
    (TOUCH, "'0', 'b'"),
    (GET, "'0', 'b'"),
    (DROP, "'0', 'b', 'y'"),
    (FORGET, "'0', '0', 'a', '1', 'b', '2'"),
)
# All that the scripts of the cache call, on keys of its own that are gone afterwards, also where a
# command is denied. Half an entry is there for `put` to mend.
_SCRIPT = """
local ran, failure = pcall(function()
redis.call('HSET', KEYS[1], 'half', '')
TRIALS
end)
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
if not ran then
  return type(failure) == 'table' and failure or redis.error_reply(failure)
end
""".replace("TRIALS", "\n".join(f";(function(ARGV)\n{s.text}\nend)({{{a}}})" for s, a in _TRIALS))
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisInspection(Inspection):
    """``url`` and ``prefix`` as for the cache."""

    def __init__(self, url: str, prefix: str) -> None:
        self._new_client = client_factory(url, timeout=_SECONDS, max_connections=1)
        names = ("doctor", "doctor-recency", "doctor-forgotten")
        self._keys = tuple(f"{{{prefix}}}:{name}" for name in names)

    async def inspect(self) -> Sequence[Finding]:
        """See ``Inspection.inspect``."""
        client = self._new_client()
        try:
            await client.ping()
            return [
                _finding("reachable", "ok", "answers and accepts the login"),
                *await self._topology(client),
                await self._script(client),
                await _memory(client),
            ]
        except Exception as error:  # noqa: BLE001 (the client raises errors of any type)
            return [_finding("reachable", "problem", *fault_of(error))]
        finally:
            with suppress(Exception):
                await close(client)

    async def _topology(self, client: Client) -> list[Finding]:
        """Name the master, and tell whether it can fail over; nothing for a single server."""
        if isinstance(client, RedisCluster):
            primary, *others = client.nodes_manager.slots_cache[client.keyslot(self._keys[0])]
            replicas = len(others)
            text = f"cluster: the master of the keys is {primary.name}"
        elif finder := master_finder(client):
            found = await finder.describe()
            replicas = found.replicas
            text = f"sentinels: the master of {finder.service} is {found.master}"
            if found.answers < len(finder.sentinels):
                text += f"; {found.answers} of {len(finder.sentinels)} sentinels answer"
                advice = "start the others, or correct ORDERS_REDIS_URL"
                return [_finding("topology", "warning", text, advice)]
        else:
            return []
        text += f"; replicas: {replicas}"
        if replicas:
            return [_finding("topology", "ok", text)]
        advice = "add a replica: without one the cache is down as long as its master is"
        return [_finding("topology", "warning", text, advice)]

    async def _script(self, client: Client) -> Finding:
        try:
            await client.eval(_SCRIPT, len(self._keys), *self._keys)
            began = time.perf_counter()
            await client.evalsha(_SHA, len(self._keys), *self._keys)
            took = (time.perf_counter() - began) * 1000
        except OutOfMemoryError as error:
            return _finding("scripts", "warning", *fault_of(error))
        except ResponseError as error:
            if not isinstance(error, ReadOnlyError) and not is_denied(error):
                raise
            return _finding("scripts", "problem", *fault_of(error))
        if took > _SLOW_MS:
            text = f"a script takes {took:.0f} ms; the cache is bypassed after 100"
            return _finding("scripts", "warning", text, "move it closer, or give it more resources")
        return _finding("scripts", "ok", f"may run and write; one takes {took:.1f} ms")


async def _memory(client: Client) -> Finding:
    if not isinstance(client, Redis):
        return _finding("memory", "ok", "not inspected in a cluster")
    try:
        info = await client.info("memory")
    except NoPermissionError:
        return _finding("memory", "ok", "not shown to this user")
    used, limit = int(info["used_memory"]), int(info["maxmemory"])
    policy = str(info["maxmemory_policy"])
    if not limit:
        return _finding("memory", "ok", f"{_mib(used)} in use, no limit set")
    text = f"{_mib(used)} of {_mib(limit)} in use, policy {policy}"
    if used > limit * _NEARLY_FULL:
        if policy == "noeviction":
            advice = "raise maxmemory, or choose another maxmemory-policy"
            return _finding("memory", "warning", f"{text}: rejects new entries", advice)
        advice = "raise maxmemory if other keys on it matter"
        return _finding("memory", "warning", f"{text}: may evict other keys", advice)
    return _finding("memory", "ok", text)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
