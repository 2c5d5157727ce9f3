"""Takes orders from Kafka; commits after each message, so that none is lost."""

import asyncio
import logging
import os
import signal

import asyncpg
from aiokafka import AIOKafkaConsumer
from pydantic import ValidationError

from .models import Order
from .storage import save

logger = logging.getLogger(__name__)


async def main() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    consumer = AIOKafkaConsumer(
        os.environ["KAFKA_TOPIC"],
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"],
        group_id=os.environ["KAFKA_GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    async with asyncpg.create_pool(os.environ["POSTGRES_DSN"]) as pool, consumer:
        async for message in consumer:
            try:
                order = Order.model_validate_json(message.value)
            except ValidationError:
                logger.exception("invalid order at offset %s", message.offset)
            else:
                await save(pool, order)
            await consumer.commit()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        logger.info("stopped")
