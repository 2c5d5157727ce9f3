from collections.abc import AsyncIterator

import httpx
import pytest

from tests.unit.http.harness import Api


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client
