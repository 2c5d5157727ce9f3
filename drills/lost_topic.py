"""Group 4: the topic is deleted under the consumers, and made again."""

import json

from drills.drill import drill
from drills.expectations import Document, Good
from drills.stage import Stage
from drills.waiting import wait_until


@drill(4, "the topic deleted under the consumers, and made again")
def topic_deleted(stage: Stage) -> None:
    """They say so, and read the new one from its beginning, whatever they had read of the old."""
    stage.consumers.start("static", static=True)
    stage.consumers.start("dynamic")
    wait_until(lambda: stage.topics.assigned() == [2, 2], 30, "both have their partitions")
    known: list[Document] = []
    for seconds in (True, False) if stage.long else (True,):
        known += _send_new(stage, 400)
        stage.wait_for_lag(40)
        stage.topics.delete(stage.topic)
        stage.ledger.sent = 0  # what was sent is stored, and gone from the topic
        if seconds:
            stage.say("deleted; waiting until the consumers say so")
            for name in ("static", "dynamic"):
                stage.consumers.wait_for_log("UnknownTopicOrPartitionError", 20, name)
        stage.topics.create(stage.topic, stage.partitions)
        # The new ones come first: where old positions had a meaning, they would be passed over.
        known = _send_new(stage, 200) + known
        for document in known[200:]:
            stage.traffic.send_order(document)
        stage.traffic.flush()
        stage.wait_for_lag(40)
    ended = stage.consumers.exit_codes()
    assert not ended, f"consumers ended by themselves: {ended}"


def _send_new(stage: Stage, amount: int) -> list[Document]:
    documents = stage.traffic.orders(amount)
    for document in documents:
        stage.traffic.send(json.dumps(document).encode(), [Good(document)])
    stage.traffic.flush()
    return documents


DRILLS = (topic_deleted,)
