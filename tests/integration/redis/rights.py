"""The rights that docs/operating.md says a user of the cache needs."""

import re
from collections.abc import Sequence
from pathlib import Path

from orders.adapters.redis_lru.cache import RedisCache
from orders.domain.ports import Finding
from tests.contracts.cache import documents

_TEXT = (Path(__file__).parents[3] / "docs" / "operating.md").read_text("utf-8")


def documented_rights(*, in_cluster: bool = False) -> list[str]:
    """For ACL SETUSER."""
    found = re.search(
        r"ACL user needs `([^`]+)` on `([^`]+)` [^`]*in a cluster\s+also `([^`]+)`", _TEXT
    )
    assert found, "the rights are not documented"
    commands, keys, more = found.groups()
    return ["-@all", keys, *commands.split(), *(more.split() if in_cluster else ())]


def assert_all_well(findings: Sequence[Finding]) -> None:
    """Doctor may lack the right to see the memory, and finds no replica in a small cluster."""
    assert {finding.state for finding in findings if finding.what != "topology"} == {"ok"}, findings


async def works_within_rights(cache: RedisCache) -> None:
    """Run all scripts, of a cache with room for one order, which its prefix ``orders`` is for."""
    await cache.put(documents("a", "b"))
    assert await cache.get(["a", "b"]) == documents("b")
    assert await cache.touch(["b"]) == []
    await cache.put({"c": b"another"})
    assert await cache.get(["c"]) == {}  # dropped, for it is no order
    await cache.check()
