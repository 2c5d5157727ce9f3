"""The API does what its OpenAPI document says."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
import schemathesis

from orders.config import Settings
from orders.entrypoints.http.orders import order_events
from tests.unit.http.conformance import check, config, effort
from tests.unit.http.harness import Api, order, series

pytestmark = pytest.mark.thorough

api = Api(settings=Settings(random_max=20))
asyncio.run(api.store(*series(3), order("b563feb7b2b84b6test")))
schema = schemathesis.openapi.from_asgi("/openapi.json", api.app(), config=config())


@schema.parametrize()
@effort(examples=25)
def test_conformance(case: schemathesis.Case[Any]) -> None:
    with patch.object(order_events, "LONGEST", 0.01):
        check(case)
