"""Limits for one client: requests in a time, requests at a time, and failed logins.

They are counted in the memory of each worker process, without a round trip.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Sequence

import structlog
from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from orders.entrypoints.http.problems import RATE_LIMITED, HTTPProblem
from orders.log_budget import LogBudget

MOST_COUNTERS = 20_000
"""Counters in memory, a few MB. Beyond that the oldest windows are forgotten: whoever sends from so
many networks at a time is not held up by a limit for each of them."""


log = structlog.get_logger("orders.http")


class BoundedCounters(Storage):
    """Counts in memory, with a bound on it; the library's own storage has none.

    Counters are in the order of their beginnings.
    """

    STORAGE_SCHEME = None

    def __init__(self, most: int = MOST_COUNTERS) -> None:
        super().__init__()
        self._most = most
        self._counters: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counters)

    @property
    def base_exceptions(self) -> type[Exception]:
        """See ``Storage``."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """See ``Storage``."""
        now = time.time()
        count, end = self._counters.get(key, (0, 0.0))
        if end <= now:
            self._counters.pop(key, None)
            count, end = 0, now + expiry
            if len(self._counters) >= self._most:
                self._counters.popitem(last=False)
        self._counters[key] = (count + amount, end)
        return count + amount

    def get(self, key: str) -> int:
        """See ``Storage``."""
        count, end = self._counters.get(key, (0, 0.0))
        return count if end > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """See ``Storage``."""
        return self._counters.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        """See ``Storage``."""
        return True

    def reset(self) -> int:
        """See ``Storage``."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        """See ``Storage``."""
        self._counters.pop(key, None)


class Rates:
    """The most of something that a client may do in windows of time, such as 600 in each minute.

    ``what`` names it in the log, where a client that exceeds a limit is once in each window.
    """

    def __init__(
        self, what: str, rates: Sequence[RateLimitItem], most: int = MOST_COUNTERS
    ) -> None:
        self._what = what
        self._budget = LogBudget(log, "further limited clients are not logged for a while")
        self._rates = rates
        self._counters = BoundedCounters(most)
        self._limiter = FixedWindowRateLimiter(self._counters)

    def count(self, client: str, cost: int = 1) -> None:
        """Count one, or as much as it costs.

        Raises:
            HTTPProblem: a limit is exceeded.
        """
        exceeded = [rate for rate in self._rates if not self._limiter.hit(rate, client, cost=cost)]
        if exceeded:
            raise self._refused(exceeded, client, cost)

    def _refused(self, exceeded: Sequence[RateLimitItem], client: str, cost: int) -> HTTPProblem:
        for rate in exceeded:
            is_first = self._counters.get(rate.key_for(client)) - cost <= rate.amount
            if is_first and self._budget.take():
                log.info("client is limited", of=self._what, client=client, limit=str(rate))
        end = max(self._limiter.get_window_stats(rate, client).reset_time for rate in exceeded)
        return _problem(f"too many {self._what} in this time", math.ceil(end - time.time()))


class Concurrency:
    """The most requests of one client at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: dict[str, int] = {}

    def enter(self, client: str) -> None:
        """Count a request as running.

        Raises:
            HTTPProblem: there are too many already.
        """
        running = self._running.get(client, 0)
        if running >= self._most:
            raise _problem("too many requests at a time", 1)
        self._running[client] = running + 1

    def leave(self, client: str) -> None:
        """Count it no more; clients without a request take no memory."""
        running = self._running[client] - 1
        if running:
            self._running[client] = running
        else:
            del self._running[client]


def _problem(detail: str, seconds: int) -> HTTPProblem:
    wait = (b"retry-after", b"%d" % max(1, seconds))
    return HTTPProblem(RATE_LIMITED, detail, headers=[wait])
