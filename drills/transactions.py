"""Group 4: producers with transactions, whose control records lie between the orders."""

import json
from contextlib import ExitStack

from confluent_kafka import Producer

from drills.drill import drill
from drills.expectations import Good
from drills.stage import Stage
from drills.waiting import wait_until

TIMEOUT = 30.0


@drill(4, "transactions, committed and aborted, interleaved; control records at the end")
def control_records(stage: Stage) -> None:
    """None is a message, none holds up what follows, and a partition that ends with them is done.

    Records of aborted transactions are not distinguished, so they are orders like others.
    """
    stage.consumers.start("static", static=True)
    stage.consumers.start("dynamic")
    stage.wait_for_topics()
    rounds = 60 if stage.long else 12
    producers = [_producer(stage, number) for number in range(2)]
    sent: list[bytes] = []
    with stage.traffic.flow(rounds * 50, seconds=rounds * 0.4):
        for number in range(rounds):
            if number % 12 == 6:
                stage.consumers.kill("static")
                stage.consumers.start("static", static=True)
            committed = stage.rng.choice(["both", "one", "none"])
            sent += _interleaved(stage, producers, committed)
    # Nothing but control records is left to read now, and nothing comes after them.
    stage.wait_for_lag(40)
    for committed in ("both", "none"):
        sent += _interleaved(stage, producers, committed)
    for value in sent:  # not before: the flow has counted in a thread of its own
        stage.ledger.acknowledged(value)
    records = sum(stage.topics.ends(stage.topic))
    assert records > stage.ledger.sent, "there are no control records"
    wait_until(lambda: stage.stored() == stage.ledger.sent, 30, "all orders are stored")


def _producer(stage: Stage, number: int) -> Producer:
    made = Producer(
        {
            "bootstrap.servers": stage.servers.bootstrap,
            "transactional.id": f"{stage.topic}-{number}",
            "log_level": 0,
        }
    )
    made.init_transactions(TIMEOUT)
    return made


def _interleaved(stage: Stage, producers: list[Producer], committed: str) -> list[bytes]:
    """A transaction of each, their records in turn on every partition; one ends before the other,
    and each is committed or aborted. The values of all of them.
    """
    sent: list[bytes] = []
    with ExitStack() as ends:
        for number, producer in enumerate(producers):
            producer.begin_transaction()
            is_committed = committed == "both" or (committed == "one" and number == 0)
            end = producer.commit_transaction if is_committed else producer.abort_transaction
            ends.callback(end, TIMEOUT)
        for document in stage.traffic.orders(len(producers) * stage.partitions):
            value = json.dumps(document).encode()
            stage.ledger.expect(value, [Good(document)])
            sent.append(value)
        for number, value in enumerate(sent):
            producer = producers[number % len(producers)]
            producer.produce(stage.topic, value, partition=number // len(producers))
            assert producer.flush(TIMEOUT) == 0  # else an abort would take it back unsent
    return sent


DRILLS = (control_records,)
