"""Group 4: a batch that cannot be read stands among good ones."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from drills.damaging_proxy import DamagingProxy
from drills.drill import drill
from drills.kafka_log import KINDS, Batch, KafkaLog
from drills.stage import Stage
from drills.waiting import wait_until

_ROUNDS = 6
_Damaged = dict[int, tuple[KafkaLog, Batch]]
_SKIP = re.compile(r"partition (\d+) cannot be read at (\d+): .*?offset to (\d+|one after it)")


@drill(4, "bytes of fetches damaged on their way")
def damage_on_the_way(stage: Stage) -> None:
    """It passes, so it costs nothing: neither an order nor the process."""
    port, advertised = stage.servers.detour
    proxy = DamagingProxy(advertised, port, stage.rng)
    wanted = 20 if stage.long else 4
    with proxy.running():
        stage.consumers.start(ORDERS_KAFKA_BOOTSTRAP=f"127.0.0.1:{advertised}")
        stage.wait_for_topics()
        deadline = time.monotonic() + 120
        with proxy.damaging(0.1):
            # Of damage behind the first batch of a fetch there is no line: it is fetched again.
            while proxy.damaged < wanted or "its checksum is wrong" not in stage.consumers.log():
                assert time.monotonic() < deadline, f"only {proxy.damaged} fetches were damaged"
                stage.traffic.send_orders(50)
        stage.wait_for_lag(30)
        stage.say(f"{proxy.damaged} fetches were damaged")
        stage.consumers.stop()


@drill(4, "batches damaged on the broker's disk: payload, length, codec")
def damage_on_the_disk(stage: Stage) -> None:
    """It stays, so each ends the consumer, which says where; an operator skips it, repairs it, and
    has it read after all.
    """
    stage.consumers.start()
    stage.wait_for_topics()
    stage.consumers.stop()
    for _ in range(_ROUNDS):
        for partition in range(stage.partitions):
            stage.traffic.send_orders(5 if not stage.long else 50, partition=partition)
    with _damage(stage) as damaged:
        skipped = sum(_meet_and_skip(stage, damaged) for _ in damaged)
        stage.consumers.start()
        stage.wait_for_lag(60)
        stage.consumers.wait_for_start()
        stage.consumers.stop()
        assert stage.stored() == stage.ledger.sent - skipped, "other than the skipped are missing"
    for partition, (_, batch) in damaged.items():
        stage.set_offset(partition, batch.first)
    stage.consumers.start()


@contextmanager
def _damage(stage: Stage) -> Iterator[_Damaged]:
    """Break a batch in the middle of some partitions, each in a way of its own; repair them."""
    kinds = KINDS if stage.long else stage.rng.sample(KINDS, 1)
    partitions = stage.rng.sample(range(stage.partitions), len(kinds))
    stage.servers.broker.stop()
    damaged = {}
    for partition, kind in zip(partitions, kinds, strict=True):
        log = KafkaLog(stage.servers.kafka_log(stage.topic, partition))
        batch = stage.rng.choice(log.batches()[1:-1])
        stage.say(f"{kind} damaged in partition {partition} at {batch.first}")
        log.damage(batch, kind)
        damaged[partition] = log, batch
    stage.servers.broker.start()
    try:
        yield damaged
    finally:
        stage.consumers.close()
        stage.servers.broker.stop()
        for log, _ in damaged.values():
            log.repair()
        stage.servers.broker.start()


def _meet_and_skip(stage: Stage, damaged: _Damaged) -> int:
    """Wait for a consumer to end at one of them, and set the group's offset to the one it names.

    How many records that leaves out.
    """
    stage.consumers.start()
    code = stage.consumers.wait("one", 60)
    assert code == 1, f"ended with {code}\n{stage.consumers.tail()}"
    last_words = stage.consumers.log().splitlines()[-1]
    found = _SKIP.search(last_words)
    assert found, f"the log does not say what to do: {last_words}"
    partition = int(found[1])
    stage.say(f"the consumer ended, naming partition {partition}")
    _, batch = damaged[partition]
    assert int(found[2]) == batch.first
    committed = stage.topics.committed(stage.topic)
    assert committed[partition] == batch.first, "not all before it is committed, or more than that"
    # With a broken length the broker itself finds nothing that stands near, before its repair.
    following = stage.topics.ends(stage.topic)[partition]
    if found[3].isdigit():
        following = int(found[3])
        assert following == batch.last + 1
    wait_until(lambda: stage.topics.members() == 0, 15, "the consumer has left the group")
    stage.set_offset(partition, following)
    return following - batch.first


DRILLS = (damage_on_the_way, damage_on_the_disk)
