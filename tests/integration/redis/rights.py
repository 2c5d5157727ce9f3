"""The rights that deploy/ gives a user of the cache."""

import re
from collections.abc import Sequence
from pathlib import Path

from orders.adapters.redis_lru.cache import RedisCache
from orders.domain.ports import Finding
from tests.contracts.cache import documents

_ROOT = Path(__file__).parents[3]


def documented_rights(*, in_cluster: bool = False) -> list[str]:
    """Those of the API in deploy/redis/users.acl, for ACL SETUSER; in a cluster with the others."""
    users = (_ROOT / "deploy" / "redis" / "users.acl").read_text("utf-8")
    line = re.search(r"(?m)^user orders-api on >change-me (.*)$", users)
    text = (_ROOT / "docs" / "operating.md").read_text("utf-8")
    more = re.search(r"in a cluster\s+also `([^`]+)`", text)
    assert line, "the rights are not there"
    assert more, "those in a cluster are not documented"
    return [*line[1].split(), *(more[1].split() if in_cluster else ())]


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
