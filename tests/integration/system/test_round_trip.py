"""Whatever valid order goes in comes out equal: through Kafka, PostgreSQL, Redis and HTTP."""

import itertools
from urllib.parse import quote

import msgspec
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.domain.order.document import encode
from orders.domain.order.model import Order
from tests.integration.system.processes import System
from tests.strategies import orders

_numbers = itertools.count()


def numbered(order: Order) -> Order:
    """Each under a uid of its own: an order that came before, changed, would be a conflict."""
    return msgspec.structs.replace(order, order_uid=f"{next(_numbers)} {order.order_uid}"[:255])


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=st.lists(orders(), min_size=1, max_size=20), as_array=st.booleans())
def test_round_trip(running: System, made: list[Order], as_array: bool) -> None:
    if not running.log("api"):
        running.start("consumer")
        running.start_api()
    sent = [numbered(order) for order in made]
    documents = [encode(order) for order in sent]
    running.send(*([b"[" + b",".join(documents) + b"]"] if as_array else documents))
    cached = [running.order(quote(order.order_uid, safe="")) for order in sent]
    with redis.Redis.from_url(running.environment["ORDERS_REDIS_URL"]) as client:
        client.delete(f"{{{running.environment['ORDERS_CACHE_PREFIX']}}}:documents")
    stored = [running.order(quote(order.order_uid, safe="")) for order in sent]
    assert [answer.content for answer in cached] == documents
    assert [answer.content for answer in stored] == documents
    assert [a.headers["ETag"] for a in cached] == [a.headers["ETag"] for a in stored]
    for order, document in zip(sent, documents, strict=True):
        found = running.http.get("/orders", params={"order_uid": order.order_uid})
        assert found.content == b"[" + document + b"]"
