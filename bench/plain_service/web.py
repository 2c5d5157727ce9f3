"""Serves orders: from Redis, and otherwise from PostgreSQL, to be kept in Redis for an hour."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, HTTPException, Response
from redis.asyncio import Redis

from .storage import load

_TTL = 3_600
_PREFIX = os.environ["CACHE_PREFIX"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.redis = Redis.from_url(os.environ["REDIS_URL"])
    async with asyncpg.create_pool(os.environ["POSTGRES_DSN"]) as pool, app.state.redis:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health/ready")
async def ready() -> str:
    return "ok"


@app.get("/orders/{order_uid}")
async def get_order(order_uid: str) -> Response:
    key = f"{_PREFIX}:{order_uid}"
    body = await app.state.redis.get(key)
    if body is None:
        order = await load(app.state.pool, order_uid)
        if order is None:
            raise HTTPException(404, "there is no such order")
        body = order.model_dump_json()
        await app.state.redis.set(key, body, ex=_TTL)
    return Response(body, media_type="application/json")
