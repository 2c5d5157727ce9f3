"""A program that serves the API on memory twins, with the settings of its environment.

python serving_with_access.py PORT WORKERS GRACE SCENARIO
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from orders.config import Settings, load
from orders.entrypoints import logs
from orders.entrypoints.http.app import create_app
from orders.entrypoints.http.server import serve
from tests.unit.http.harness import Api, series


def create(settings: Settings) -> Any:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await api.store(*series(3))
        yield

    api = Api(is_cached=True)
    return create_app(api.use_cases(), settings, lifespan)


if __name__ == "__main__":
    port, workers, grace, _ = sys.argv[1:]
    logs.configure("info", "json", process="api")
    # As `orders api` has it: one secret for all workers.
    settings = load(os.environ | {"ORDERS_HTTP_SESSION_SECRET": "s" * 32}, dotenv=None)
    sys.exit(serve(partial(create, settings), "127.0.0.1", int(port), int(workers), int(grace)))
