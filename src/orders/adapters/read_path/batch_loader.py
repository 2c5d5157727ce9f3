"""Combines concurrent look-ups into a few batches, as DataLoader does."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextvars import Context
from copy import copy
from itertools import chain
from typing import NamedTuple, Optional, cast

from orders.domain.errors import OrdersError, Unavailable

Load = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes | Exception]]]
"""Looks up distinct keys; returns the values found and the keys that failed, or raises."""

MAX_BYTES = 2 * 2**20
"""Bytes that a batch should find, of large values and of others; more would hold up the event loop,
and be taken for slow."""

_SIZE_ALPHA = 1 / 4
"""The weight of the newest batch in the moving average of the sizes of values."""

_LARGE = 65_536
"""Bytes from which the size of a value is remembered."""

_MOST_LARGE = 10_000
"""Sizes that are remembered."""

_CLOSED = "look-ups have ended"
_QUEUE_TIMEOUT = "too many look-ups wait for slow ones"


class Waiter(NamedTuple):
    """A caller that waits for one key in a queue or a batch, and since when.

    A failure is the future's result: asyncio would report an exception that a cancelled caller
    never retrieves.
    """

    result: "asyncio.Future[bytes | Exception | None]"
    since: float


class Waiters(NamedTuple):
    """The waiters for a key of a batch: from before it was sent, and from after that."""

    before: list[Waiter]
    after: list[Waiter]


Batch = dict[str, Waiters]


class BatchLoader:
    """Loads keys in batches, of which only a few are in flight at a time.

    A lone caller's batch is sent at once. While all workers are busy, callers queue and share the
    next batch. No key is in two batches at a time. A caller that asks for a key in flight gets the
    value that the batch finds. If it finds none, the caller also joins the next batch: the order
    may have been stored after the batch was sent and before the caller asked.

    A slow batch, as on a stalled connection, delays only its own callers: a spare worker takes
    over, for the same keys too.

    Batches run in tasks of their own, so cancelling a caller does not affect others.

    Args:
        load: loads a batch.
        workers: most batches in flight at a time.
        max_batch: most keys in a batch; fewer if values are large (``MAX_BYTES``).
        queue_timeout: seconds that a caller may wait in the queue, accurate to a half; they start
            again when it has to join another batch.
        slow_after: seconds after which a batch counts as slow.
        spare_workers: most workers that replace those with a slow batch.
        on_slow: called when a batch becomes slow.
        fallback: the loader that takes over the callers for which a batch found nothing.
    """

    def __init__(
        self,
        load: Load,
        *,
        workers: int,
        max_batch: int,
        queue_timeout: float = 2.5,
        slow_after: float = 0.5,
        spare_workers: int = 4,
        on_slow: Callable[[], None] = lambda: None,
        fallback: Optional["BatchLoader"] = None,
    ) -> None:
        self._load = load
        self._max_workers = workers
        self._max_batch = max_batch
        self._value_bytes = 1.0  # of a value, lately
        self._large: dict[str, int] = {}  # sizes by key, the latest last
        self._queue_timeout = queue_timeout
        self._slow_after = slow_after
        self._spare_workers = spare_workers
        self._on_slow = on_slow
        self._fallback = fallback
        self._queue: dict[str, list[Waiter]] = {}
        self._in_flight: Batch = {}  # every key of a batch that is not slow
        self._slow_batches: list[Batch] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._is_starting = False  # a worker was created and has not started yet
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def open(self) -> None:
        """Accept callers, also after ``close``."""
        self._closed = False

    async def close(self) -> None:
        """Cancel all batches; waiting and later callers get Unavailable."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        workers = tuple(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        self._is_starting = False
        for waiters in self._queue.values():
            _resolve(waiters, Unavailable(_CLOSED))
        self._queue.clear()

    async def get(self, keys: Collection[str]) -> dict[str, bytes]:
        """Load these keys; one is missing only if a batch sent after this call did not find it.

        Raises:
            Unavailable: a batch failed with it, or none was sent in time.
            OrdersError: a batch failed with another error, which is the cause.
        """
        if self._closed:
            raise Unavailable(_CLOSED)
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiters = {key: Waiter(loop.create_future(), now) for key in keys}
        for key, waiter in waiters.items():
            self._join(key, (waiter,))
        found = {}
        for key, waiter in waiters.items():
            result = await waiter.result
            if isinstance(result, bytes):
                found[key] = result
            elif result is not None:
                raise _copy(result) from result
        return found

    @property
    def is_slow(self) -> bool:
        """Whether a batch is slow."""
        return bool(self._slow_batches)

    @property
    def pending(self) -> list[str]:
        """The keys that callers wait for, in flight or queued."""
        return list(dict.fromkeys(chain(self._queue, self._in_flight, *self._slow_batches)))

    def resolve(self, found: Mapping[str, bytes]) -> None:
        """Resolve all waiters for these keys, whose values became known elsewhere."""
        for key, value in found.items():
            _resolve(self._queue.pop(key, ()), value)
            for batch in (self._in_flight, *self._slow_batches):
                for waiters in batch.get(key, ()):
                    _resolve(waiters, value)

    def take_over(self, key: str, waiters: Iterable[Waiter]) -> None:
        """Load ``key`` for the waiters of another loader."""
        if self._closed:
            _resolve(waiters, Unavailable(_CLOSED))
        else:
            now = asyncio.get_running_loop().time()
            self._join(key, [Waiter(waiter.result, now) for waiter in waiters])

    def _join(self, key: str, waiters: Iterable[Waiter]) -> None:
        in_flight = self._in_flight.get(key)
        if in_flight is None:
            self._enqueue(key, waiters)
        else:
            in_flight.after.extend(waiters)

    def _enqueue(self, key: str, waiters: Iterable[Waiter]) -> None:
        queued = self._queue.get(key)
        if queued is None:
            self._queue[key] = list(waiters)
        else:
            queued.extend(waiters)
        if not self._is_starting:
            self._start_worker()

    def _start_worker(self) -> None:
        """Start a worker if there may be one more; otherwise make sure that waiters expire."""
        loop = asyncio.get_running_loop()
        if (
            self._busy_workers < self._max_workers
            and len(self._workers) < self._max_workers + self._spare_workers
        ):
            # It starts in the next turn of the loop, so its batch has all look-ups of this one. Its
            # own context keeps the first caller's request id out of its log lines.
            worker = loop.create_task(self._work(), context=Context())
            self._is_starting = True
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)  # if it is cancelled before it starts
        elif self._timer is None:
            self._timer = loop.call_later(self._queue_timeout / 2, self._expire_waiters)

    async def _work(self) -> None:
        """Load batches while callers queue and there are not too many workers."""
        try:
            while self._queue and self._busy_workers <= self._max_workers:
                self._is_starting = False
                await self._load_batch()
            self._is_starting = False
        finally:  # the callback runs a turn later, which is too late for a caller of that turn
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    @property
    def _busy_workers(self) -> int:
        """The number of workers whose batch is not slow."""
        return len(self._workers) - len(self._slow_batches)

    async def _load_batch(self) -> None:
        keys = self._next_keys()
        batch = {key: Waiters(self._queue.pop(key), []) for key in keys}
        self._in_flight |= batch
        slow = asyncio.get_running_loop().call_later(self._slow_after, self._mark_slow, batch)
        if self._queue:
            self._start_worker()
        found: Mapping[str, bytes | Exception] = {}
        failure: Exception | None = Unavailable(_CLOSED)
        try:
            found = await self._load_keys(keys)
            failure = None
            self._note_sizes(found)
        except Exception as error:  # noqa: BLE001 (raised by the callers)
            failure = error
        finally:
            slow.cancel()
            self._remove(batch)
            if failure is None:
                self._deliver(batch, found)
            else:
                for waiters in chain.from_iterable(batch.values()):
                    _resolve(waiters, failure)

    def _next_keys(self) -> list[str]:
        """Return the keys that came first; some of large values, and some others.

        So the others need not wait for all of large ones that came before.
        """
        keys: list[str] = []
        taken = {True: 0.0, False: 0.0}  # bytes, of large ones and of others
        for key in self._queue:
            is_large = key in self._large
            size = self._large.get(key, self._value_bytes)
            if not taken[is_large] or taken[is_large] + size <= MAX_BYTES:
                taken[is_large] += size
                keys.append(key)
                if len(keys) == self._max_batch:
                    break
        return keys

    async def _load_keys(self, keys: Sequence[str]) -> Mapping[str, bytes | Exception]:
        """Load them together; one by one if that fails because of one of them."""
        try:
            return await self._load(keys)
        except Unavailable:
            raise
        except Exception:
            if len(keys) == 1:
                raise
        found: dict[str, bytes | Exception] = {}
        for key in keys:
            try:
                found |= await self._load((key,))
            except Exception as error:  # noqa: BLE001 (raised by its callers)
                found[key] = error
        return found

    def _note_sizes(self, found: Mapping[str, bytes | Exception]) -> None:
        sizes = {key: len(value) for key, value in found.items() if isinstance(value, bytes)}
        unknown = [size for key, size in sizes.items() if key not in self._large]
        if unknown:
            self._value_bytes += (sum(unknown) / len(unknown) - self._value_bytes) * _SIZE_ALPHA
        for key, size in sizes.items():
            self._large.pop(key, None)
            if size >= _LARGE:
                self._large[key] = size
        while len(self._large) > _MOST_LARGE:
            del self._large[next(iter(self._large))]

    def _mark_slow(self, batch: Batch) -> None:
        self._remove(batch)
        self._slow_batches.append(batch)
        if self._queue and not self._is_starting:
            self._start_worker()
        self._on_slow()

    def _remove(self, batch: Batch) -> None:
        if any(each is batch for each in self._slow_batches):
            self._slow_batches = [each for each in self._slow_batches if each is not batch]
        else:
            for key in batch:
                del self._in_flight[key]

    def _deliver(self, batch: Batch, found: Mapping[str, bytes | Exception]) -> None:
        for key, (before, after) in batch.items():
            value = found.get(key)
            if value is not None:
                _resolve(before, value)
                _resolve(after, value)
                if self._slow_batches and isinstance(value, bytes):
                    self.resolve({key: value})
            elif self._fallback is not None:
                self._fallback.take_over(key, before + after)
            else:
                _resolve(before, None)
                if after:
                    self._enqueue(key, after)

    def _expire_waiters(self) -> None:
        """Fail the waiters that have been in the queue for too long."""
        self._timer = None
        loop = asyncio.get_running_loop()
        limit = loop.time() - self._queue_timeout
        for key, waiters in tuple(self._queue.items()):
            expired = (waiter for waiter in waiters if waiter.since <= limit)
            _resolve(expired, Unavailable(_QUEUE_TIMEOUT))
            self._queue[key] = [waiter for waiter in waiters if not waiter.result.done()]
            if not self._queue[key]:
                del self._queue[key]
        if self._queue:
            self._timer = loop.call_later(self._queue_timeout / 2, self._expire_waiters)


def _resolve(waiters: Iterable[Waiter], result: bytes | Exception | None) -> None:
    """Set the result of waiters that are neither cancelled nor resolved."""
    for waiter in waiters:
        if not waiter.result.done():
            waiter.result.set_result(result)


def _copy(failure: Exception) -> OrdersError:
    """Copy an exception for one caller: one raised by many tasks would accumulate their traces."""
    return (
        copy(failure) if isinstance(failure, OrdersError) else OrdersError("a look-up has failed")
    )
