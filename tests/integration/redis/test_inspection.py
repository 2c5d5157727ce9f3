"""What is found out about a real Redis or Valkey."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orders.adapters.redis_lru.inspection import RedisInspection
from orders.domain.ports import Finding, Inspection
from tests.contracts.inspection import SECRET, InspectionContract, found
from tests.integration.redis.own_server import OwnServer
from tests.integration.redis.rights import documented_rights
from tests.integration.tcp_proxy import TcpProxy


class TestRedisInspection(InspectionContract):
    @pytest.fixture
    def inspection(self, redis_url: str, prefix: str) -> Inspection:
        return RedisInspection(redis_url, prefix)

    @pytest.fixture
    def unreachable(self, own_server: OwnServer, prefix: str) -> Inspection:
        command(own_server, "CONFIG", "SET", "requirepass", "p")
        url = own_server.url.replace("redis://", f"redis://:{SECRET}@")
        return RedisInspection(url, prefix)


def command(server: OwnServer, *words: str) -> None:
    with server.client() as client:
        client.execute_command(*words)


async def look(url: str) -> list[Finding]:
    return list(await RedisInspection(url, "test").inspect())


async def test_all_well(redis_url: str) -> None:
    findings = await look(redis_url)
    assert [finding.what for finding in findings] == ["reachable", "scripts", "memory"]
    assert {finding.state for finding in findings} == {"ok"}


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:wrong@"])
async def test_a_wrong_password(own_server: OwnServer, user: str) -> None:
    command(own_server, "CONFIG", "SET", "requirepass", "p")
    (finding,) = await look(own_server.url.replace("redis://", f"redis://{user}"))
    assert finding.text == "rejects this user or this password"


async def test_nobody_listens() -> None:
    (finding,) = await look("redis://127.0.0.1:1")
    assert finding.text == "refuses connections"


async def test_frozen(own_server: OwnServer) -> None:
    own_server.freeze()
    (finding,) = await look(own_server.url)
    assert finding.text == "does not answer in time"


@pytest.fixture
def replica(own_server: OwnServer, tmp_path: Path) -> Iterator[OwnServer]:
    server = OwnServer(tmp_path / "replica", "--replicaof", "127.0.0.1", str(own_server.port))
    server.start()
    yield server
    server.kill()


async def test_a_replica(replica: OwnServer) -> None:
    finding = found(await look(replica.url), "scripts")
    assert finding.state == "problem"
    assert "replica" in finding.text


async def test_each_right_that_is_missing_is_named(own_server: OwnServer) -> None:
    rights = documented_rights()
    commands = [right for right in rights if right.startswith("+")]
    assert len(commands) > 10
    url = own_server.url.replace("redis://", "redis://some:p@")
    for missing in commands:
        command(own_server, "ACL", "SETUSER", "some", "reset", "on", ">p", *rights)
        command(own_server, "ACL", "SETUSER", "some", missing.replace("+", "-"))
        findings = await RedisInspection(url, "orders").inspect()
        problems = [finding for finding in findings if finding.state == "problem"]
        text = f"this user may not run {missing[1:].upper()}"
        assert [finding.text for finding in problems] == [text]
        assert "deploy/redis/users.acl" in problems[0].advice
    with own_server.client() as client:
        assert client.keys() == []


async def test_keys_that_are_not_allowed(own_server: OwnServer) -> None:
    rights = documented_rights()
    command(own_server, "ACL", "SETUSER", "some", "reset", "on", ">p", *rights)
    finding = found(await look(own_server.url.replace("redis://", "redis://some:p@")), "scripts")
    assert finding.text == "this user may not use the keys of the cache"


@pytest.mark.parametrize(
    ("policy", "says"), [("noeviction", "rejects new entries"), ("allkeys-lru", "may evict")]
)
async def test_full(own_server: OwnServer, policy: str, says: str) -> None:
    command(own_server, "CONFIG", "SET", "maxmemory-policy", policy)
    command(own_server, "CONFIG", "SET", "maxmemory", "100000")
    finding = found(await look(own_server.url), "memory")
    assert finding.state == "warning"
    assert says in finding.text


async def test_a_server_behind_a_door_that_is_shut(redis_url: str) -> None:
    host, port = redis_url.split("/")[2].split(":")
    with TcpProxy(host, int(port)) as door:
        url = f"redis://127.0.0.1:{door.port}"
        assert (await look(url))[0].state == "ok"
        door.shut()
        assert (await look(url))[0].state == "problem"
