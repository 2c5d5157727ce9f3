"""Servers that fail over: a master with a replica and sentinels, and a cluster with replicas."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.integration.redis.own_server import DEADLINE, OwnServer, free_port
from tests.waiting import wait_until

SERVICE = "orders"
_SENTINEL_CONFIG = """\
port {port}
bind 127.0.0.1
sentinel monitor {service} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 3000
"""
_SLOTS = ((0, 5460), (5461, 10922), (10923, 16383))
_REPLICA_OPTIONS = ("--repl-diskless-sync-delay", "0")


class OwnSentinel(OwnServer):
    """A sentinel; it forgets at each start what it has found out."""

    def __init__(self, folder: Path, master: OwnServer, *options: str) -> None:
        super().__init__(folder, *options)
        self._master = master

    def _arguments(self) -> list[str]:
        config = _SENTINEL_CONFIG.format(port=self.port, master=self._master.port, service=SERVICE)
        (self._folder / "sentinel.conf").write_text(config, "utf-8")
        return ["sentinel.conf", "--sentinel", *self._options]


class Replicated:
    """A master, its replica, and three sentinels, of which two decide."""

    def __init__(self, folder: Path) -> None:
        self._first = OwnServer(folder / "first", *_REPLICA_OPTIONS)
        follows = ("--replicaof", "127.0.0.1", str(self._first.port))
        self.servers = (self._first, OwnServer(folder / "second", *_REPLICA_OPTIONS, *follows))
        self.sentinels = [OwnSentinel(folder / f"sentinel-{n}", self._first) for n in range(3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def start(self) -> None:
        """Start all, and return when a failover is possible."""
        for server in (*self.servers, *self.sentinels):
            server.start()
        wait_until(lambda: follows(self.servers[1]), DEADLINE, "the replica has a copy")
        wait_until(lambda: all(map(_knows_all, self.sentinels)), DEADLINE, "the sentinels know all")

    @property
    def master(self) -> OwnServer:
        """The server that a sentinel names."""
        port = _named(self.sentinels[0])
        return next(server for server in self.servers if server.port == port)

    def wait_for_promotion(self, demoted: OwnServer) -> None:
        """Wait until all sentinels name another master."""
        wait_until(
            lambda: demoted.port not in map(_named, self.sentinels),
            DEADLINE,
            "a replica is promoted",
        )

    def promote(self) -> None:
        """Have the sentinels promote the replica while the master is up."""
        demoted = self.master
        with self.sentinels[0].client() as client:
            client.execute_command("SENTINEL", "FAILOVER", SERVICE)
        self.wait_for_promotion(demoted)

    def kill(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.kill()


def _named(sentinel: OwnServer) -> int:
    """The port of the master that a sentinel names."""
    _, port = _ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
    return int(port)


def _knows_all(sentinel: OwnServer) -> bool:
    with sentinel.client() as client:
        state: Any = client.sentinel_masters()[SERVICE]
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


class OwnCluster:
    """Three masters that share the slots, each with a replica where ``replicas`` is 1.

    Args:
        announced: the ports that clients get instead of the nodes' own ones.
    """

    def __init__(
        self, folder: Path, replicas: int = 1, announced: Sequence[int] | None = None
    ) -> None:
        buses = [free_port() for _ in range(3 * (1 + replicas))]
        self.nodes = [
            OwnServer(
                folder / f"node-{n}",
                *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
                *("--cluster-node-timeout", "1000", *_REPLICA_OPTIONS),
                *(("--cluster-announce-port", str(announced[n])) if announced else ()),
            )
            for n, bus in enumerate(buses)
        ]
        self._buses = buses

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        """Start all, and return when every node knows of all slots, and each replica has a copy."""
        for node in self.nodes:
            node.start()
        masters, replicas = self.nodes[:3], self.nodes[3:]
        for node, slots in zip(masters, _SLOTS, strict=True):
            _ask(node, "CLUSTER", "ADDSLOTSRANGE", *slots)
        for node in self.nodes[1:]:
            _ask(node, "CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self._buses[0])
        self._wait_until_whole()
        for replica, master in zip(replicas, masters, strict=False):
            _ask(replica, "CLUSTER", "REPLICATE", _ask(master, "CLUSTER", "MYID").decode())
        wait_until(lambda: all(map(follows, replicas)), DEADLINE, "the replicas have copies")
        self._wait_until_whole(copies=1 if replicas else 0)

    def owner(self, prefix: str) -> OwnServer:
        """The node that has the keys of this prefix, by one that is up."""
        slot = int(_ask(self._any(), "CLUSTER", "KEYSLOT", prefix))
        for first, last, (_, port, *_), *_ in _ask(self._any(), "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError("nobody has the slot")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def _any(self) -> OwnServer:
        return next(node for node in self.nodes if node.running)

    def _wait_until_whole(self, copies: int = 0) -> None:
        wait_until(
            lambda: all(self._is_whole(node, copies) for node in self.nodes),
            DEADLINE,
            "every node knows all of the cluster",
        )

    def _is_whole(self, node: OwnServer, copies: int) -> bool:
        info: Any = _ask(node, "CLUSTER INFO")
        is_complete = info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(
            self.nodes
        )
        # Of each range: first slot, last slot, master, replicas.
        return is_complete and all(
            len(entry) == 3 + copies for entry in _ask(node, "CLUSTER", "SLOTS")
        )


def _ask(server: OwnServer, *words: object) -> Any:
    with server.client() as client:
        return client.execute_command(*words)


def follows(replica: OwnServer) -> bool:
    with replica.client() as client:
        info: Any = client.info("replication")
    return bool(info["role"] == "slave" and info["master_link_status"] == "up")


_Servers = TypeVar("_Servers", Replicated, OwnCluster)


@contextmanager
def running(servers: _Servers) -> Iterator[_Servers]:
    """Start them, and kill them at the end."""
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()
