"""Group 4: the topic is deleted under the consumers, and recreated."""

import json

from drills.drill import drill
from drills.expectations import Document, Good
from drills.stage import Stage
from drills.waiting import wait_until


@drill(4, "the topic deleted under the consumers, and recreated")
def topic_deleted(stage: Stage) -> None:
    """They log it, and read the new topic from its beginning, however far they had read before."""
    stage.consumers.start("static", static=True)
    stage.consumers.start("dynamic")
    wait_until(lambda: stage.topics.assigned() == [2, 2], 30, "both have their partitions")
    known: list[Document] = []
    for seconds in (True, False) if stage.long else (True,):
        known += _send_new(stage, 400)
        stage.wait_for_lag(40)
        stage.topics.delete(stage.topic)
        stage.ledger.sent = 0  # all that was sent is stored, and no longer in the topic
        if seconds:
            stage.say("deleted; waiting until the consumers log it")
            for name in ("static", "dynamic"):
                stage.consumers.wait_for_log("UnknownTopicOrPartitionError", 20, name)
        stage.topics.create(stage.topic, stage.partitions)
        # The new orders come first: a consumer that kept its old positions would skip them.
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
