"""`orders dlq` as operators use it: on a real broker, killed in the middle."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from orders.domain.use_cases.replay_dead_letters import CHUNK_RECORDS
from tests.integration.kafka.other_client import OtherClient
from tests.integration.system.processes import System, free_port
from tests.waiting import wait_until

DEAD_LETTERS = 4_000


class Operator:
    """Somebody at a terminal; needs Kafka alone."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        names = ("BOOTSTRAP", "TOPIC", "DLQ_TOPIC")
        self._folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_")}
        self._environment = inherited | {
            f"ORDERS_KAFKA_{name}": environment[f"ORDERS_KAFKA_{name}"] for name in names
        }
        self.bootstrap, self.topic, self.dlq_topic = (
            environment[f"ORDERS_KAFKA_{name}"] for name in names
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "orders", "dlq", *arguments],
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def run(self, *arguments: str, code: int = 0) -> str:
        """What it says; asserts how it ends."""
        process = self.start(*arguments)
        said, errors = process.communicate(timeout=90)
        assert process.returncode == code, said + errors
        return said if code == 0 else errors

    def list(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("list", "--json", *arguments).splitlines()]

    def end(self, topic: str | None = None) -> int:
        """How many messages the topic (of orders) has had; it has one partition."""
        client = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "unused"})
        try:
            return int(client.get_watermark_offsets(TopicPartition(topic or self.topic, 0), 10)[1])
        finally:
            client.close()

    def replayed(self) -> Counter[bytes]:
        """How often each dead letter was sent again."""
        client = OtherClient(self.bootstrap)
        sent = client.read_all(self.topic)
        return Counter(dict(message.headers)["orders-replay-of"] for message in sent)


@pytest.fixture
def operator(system_environment: dict[str, str], tmp_path: Path) -> Iterator[Operator]:
    made = Operator(system_environment, tmp_path)
    yield made
    made.close()


def seed(operator: Operator, amount: int = DEAD_LETTERS) -> set[bytes]:
    """Dead letters as the consumer writes them, by another client; their identities."""
    client = OtherClient(operator.bootstrap)
    client.create(operator.topic)
    client.create(operator.dlq_topic)
    producer: Producer = client.producer()
    for offset in range(amount):
        headers: Any = {
            "orders-error-code": "invalid",
            "orders-error-detail": "$: expected object, got int",
            "orders-source-topic": operator.topic,
            "orders-source-partition": "0",
            "orders-source-offset": str(offset),
            "orders-source-index": "0",
            "orders-failed-at": "2026-01-02T03:04:05Z",
            "orders-attempt": "1",
        }
        producer.produce(operator.dlq_topic, b"[1]" * 300, b"%d" % offset, headers=headers)
        producer.poll(0)
    assert producer.flush(30) == 0
    return {f"{operator.topic}/0:{offset}:0".encode() for offset in range(amount)}


def test_killed_again_and_again_it_forgets_none(operator: Operator) -> None:
    # So many that the last is far when it is killed, however fast the machine is.
    identities = seed(operator, 4 * DEAD_LETTERS)
    chance = random.Random(4)
    for _ in range(2):
        killed_at = operator.end() + chance.randint(1, DEAD_LETTERS // 2)
        process = operator.start("replay", "--all")
        wait_until(
            lambda: operator.end() >= killed_at or process.poll() is not None,  # noqa: B023
            40,
            "it has sent some",
        )
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it had ended before it was killed"
    assert 0 < operator.end() < len(identities)
    said = operator.run("replay", "--all")
    assert f"to topic {operator.topic}" in said
    replayed = operator.replayed()
    assert replayed.keys() == identities
    assert replayed.total() - len(identities) <= 2 * CHUNK_RECORDS
    assert "nothing to replay" in operator.run("replay", "--all")
    assert {listed["state"] for listed in operator.list()} == {"replayed"}
    assert operator.replayed() == replayed


def test_stopped_by_a_signal_it_notes_what_it_sent(operator: Operator) -> None:
    identities = seed(operator, 3 * DEAD_LETTERS)  # not finished when it is stopped
    process = operator.start("replay", "--all")
    wait_until(lambda: operator.end() > 0, 40, "it begins to send")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "run the same command again" in errors
    operator.run("replay", "--all")
    assert operator.replayed() == Counter(identities)


def test_what_fails_again_counts_on_until_it_is_exhausted(
    running: System, operator: Operator
) -> None:
    running.start("consumer")
    running.send(b'{"order_uid": 5}', key=b"k", headers={"x-request-id": b"r1"})

    def after(attempt: int) -> dict[str, Any]:
        wait_until(
            lambda: operator.end(running.dlq_topic) == attempt,
            40,
            f"{attempt} records",
            lambda: running.log("consumer"),
        )
        [found] = operator.list()
        assert found["attempt"] == attempt
        assert found["identity"] == f"{running.topic}/0:0:0"
        return found

    wait_until(lambda: "partitions assigned" in running.log("consumer"), 40, "it has joined")
    first = after(1)
    assert (first["code"], first["state"]) == ("invalid", "waiting")
    assert "sent 1 dead letter" in operator.run("replay", "--all")
    assert after(2)["state"] == "waiting"
    assert "sent 1 dead letter" in operator.run("replay", "--all")
    assert after(3)["state"] == "exhausted"
    said = operator.run("replay", "--all")
    assert "nothing to replay" in said
    assert (
        "1 dead letter failed 3 times or more, skipped (use --max-attempts to include them)\n"
        f"  {first['identity']}" in said
    )
    shown = json.loads(operator.run("show", "0:0", "--json", "--unmask"))
    assert shown["replay_of"] == first["identity"]
    assert shown["source"] == f"{running.topic}/0:2:0"
    assert {h["name"]: h["value"] for h in shown["headers"]}["x-request-id"] == "cjE="
    assert operator.run("show", "0:0", "--raw") == '{"order_uid": 5}'
    more = ("--max-attempts", "4", "--offset", "0:0")
    assert "sent 1 dead letter" in operator.run("replay", *more)
    after(4)


def test_without_a_broker_it_ends_with_1(operator: Operator) -> None:
    operator._environment["ORDERS_KAFKA_BOOTSTRAP"] = f"127.0.0.1:{free_port()}"
    for arguments in (["list"], ["show", "0:1"], ["replay", "--all"]):
        begun = time.monotonic()
        assert "nothing listens at the address" in operator.run(*arguments, code=1)
        assert time.monotonic() - begun < 30


def test_looking_makes_no_topic(operator: Operator) -> None:
    client = OtherClient(operator.bootstrap)
    told = f"topic {operator.dlq_topic} does not exist"
    for arguments in (["list"], ["show", "0:1"], ["replay", "--all", "--dry-run"]):
        assert told in operator.run(*arguments, code=1)
    for topic in (operator.topic, operator.dlq_topic, f"{operator.dlq_topic}.replays"):
        assert client.partitions(topic) == 0


def test_without_its_topic_a_replay_makes_nothing(operator: Operator) -> None:
    assert f"topic {operator.dlq_topic} does not exist" in operator.run("replay", "--all", code=1)
    client = Consumer({"bootstrap.servers": operator.bootstrap, "group.id": "unused"})
    try:
        topics = client.list_topics(timeout=10).topics
    finally:
        client.close()
    assert not [name for name in topics if name.startswith((operator.topic, operator.dlq_topic))]
