"""A client for the HTTP API, sync and async.

It needs the extra ``client``: ``pip install 'orders[client]'``.
"""

try:
    import httpx as _httpx  # noqa: F401
except ImportError as error:
    raise ImportError("orders.client needs httpx: pip install 'orders[client]'") from error

from orders.client.clients import AsyncOrdersClient, OrdersClient
from orders.client.errors import (
    APIError,
    Fault,
    Forbidden,
    InvalidOrders,
    NotFound,
    NotStored,
    RateLimited,
    RequestRefused,
    ServerError,
    Unauthorized,
    Unavailable,
)
from orders.client.events import OrderEvent
from orders.domain.order.model import Delivery, Item, Order, Payment

__all__ = [
    "APIError",
    "AsyncOrdersClient",
    "Delivery",
    "Fault",
    "Forbidden",
    "InvalidOrders",
    "Item",
    "NotFound",
    "NotStored",
    "Order",
    "OrderEvent",
    "OrdersClient",
    "Payment",
    "RateLimited",
    "RequestRefused",
    "ServerError",
    "Unauthorized",
    "Unavailable",
]
