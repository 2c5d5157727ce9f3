"""A process that takes the lock on replays, and says on every line whether it still has it."""

import asyncio
import os
import sys

from orders.adapters.kafka.replay_lock import ReplayLock
from orders.bootstrap import to_kafka_settings
from orders.config import Settings
from orders.domain.errors import ReplayInProgress, Unavailable


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def main() -> None:
    settings = to_kafka_settings(
        Settings(kafka_bootstrap=os.environ["BOOTSTRAP"], kafka_dlq_topic=os.environ["DLQ_TOPIC"])
    )
    lock = ReplayLock(settings, session_timeout=6)
    await lock.acquire()
    while True:
        try:
            lock.check()
            say("held")
        except ReplayInProgress:
            say("lost")
        except Unavailable:
            say("unsure")
        await asyncio.sleep(0.1)


asyncio.run(main())
