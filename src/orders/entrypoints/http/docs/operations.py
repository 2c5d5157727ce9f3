"""The operations of the API, as documented by OpenAPI."""

from datetime import timedelta
from typing import Any

import msgspec

from orders.domain.order.document import encode
from orders.domain.order.queries import Cursor
from orders.entrypoints.http.access.scopes import ADMIN, NOTHING, READ, WRITE
from orders.entrypoints.http.docs.openapi.examples import (
    ORDER,
    ORDER_JSON,
    RANDOM_ORDER_JSON,
    SUMMARY_JSON,
)
from orders.entrypoints.http.docs.openapi.operation import Operation
from orders.entrypoints.http.docs.openapi.parts import array_of, content, headers, problems, ref
from orders.entrypoints.http.orders import cursor
from orders.entrypoints.http.orders.list_request import ListParameters
from orders.entrypoints.http.problems import (
    CROSS_SITE,
    DAMAGED,
    FORBIDDEN,
    INCOMPLETE_BODY,
    INTERNAL,
    INVALID,
    INVALID_REQUEST,
    MISCONFIGURED,
    NO_ACCESS_CONTROL,
    NOT_ACCEPTABLE,
    ORDER_NOT_FOUND,
    OVERLOADED,
    SLOW_BODY,
    TOO_LARGE,
    UNAVAILABLE,
    UNDECODABLE,
    UNKNOWN_PATH,
    UNSUPPORTED,
    UNSUPPORTED_ENCODING,
    ProblemError,
)

_UID = str(ORDER_JSON["order_uid"])
_UIDS = {"order_uids": [_UID]}
_LINE = encode(ORDER).decode() + "\n"
_CURSOR = cursor.to_text(Cursor(ORDER.date_created + timedelta(minutes=1), "one-minute-later"))


def _list_parameters() -> tuple[dict[str, Any], ...]:
    """Return the parameters of the list, with examples in their schemas.

    Only ``limit`` has an example that Swagger UI fills in: with all filters filled in, a first try
    would return one order at most.
    """
    properties = msgspec.json.schema(ListParameters)["$defs"]["ListParameters"]["properties"]
    examples = {
        "order_uid": _UID,
        "customer_id": ORDER_JSON["customer_id"],
        "track_number": ORDER_JSON["track_number"],
        "created_from": "2021-11-26T00:00:00Z",
        "created_to": "2021-11-27T03:00:00+03:00",
        "cursor": _CURSOR,
    }
    beginning = {"limit": {"example": 20}}
    return tuple(
        {
            "name": name,
            "in": "query",
            "description": schema.pop("description"),
            "schema": schema | ({"examples": [examples[name]]} if name in examples else {}),
            **beginning.get(name, {}),
        }
        for name, schema in properties.items()
    )


_CROSS_SITE = (CROSS_SITE, "pages of other sites may not send or delete orders", ())
_NO_DATABASE = (UNAVAILABLE, "no connection to PostgreSQL: nothing listens at its address", ())
_MAY_NOT_READ = (MISCONFIGURED, "PostgreSQL denies this user SELECT on table orders", ())
_MAY_NOT_FORGET = (MISCONFIGURED, "PostgreSQL denies this user UPDATE on table orders", ())
_MAY_NOT_SEND = (
    MISCONFIGURED,
    "the brokers did not acknowledge: the user has no right to topic orders",
    (),
)
UNEXPECTED = (INTERNAL, "the request id leads to what the log knows about it", ())
_NO_BROKER = (
    UNAVAILABLE,
    "the brokers did not acknowledge in time: nothing listens at the address of a broker",
    (),
)

_UID_PARAMETER = {
    "name": "order_uid",
    "in": "path",
    "required": True,
    "description": "Any text, percent-encoded as UTF-8; a slash is %2F. Clients remove the "
    "path segments `.` and `..`, also as %2E: for these two use the order_uid "
    "filter, GET /orders?order_uid=. or ?order_uid=..",
    "schema": {"type": "string", "minLength": 1},
    "example": _UID,
}
_BAD_PATH = (
    INVALID_REQUEST,
    "the path is not percent-encoded UTF-8",
    (ProblemError("must be percent-encoded UTF-8", parameter="order_uid"),),
)

GET_ORDER = Operation(
    id="getOrder",
    tag="orders",
    requires=READ,
    summary="One order",
    description="The order as it was sent, in canonical form. An order never changes, and nor does "
    "its ETag. One that was forgotten is not found.",
    parameters=(
        _UID_PARAMETER,
        {
            "name": "If-None-Match",
            "in": "header",
            "description": "Entity tags of responses that the client has.",
            "schema": {"type": "string"},
        },
    ),
    responses={
        "200": {
            "description": "The order.",
            "headers": headers(ETag="The entity tag of these bytes.", Cache_Control="private"),
            "content": content("application/json", ref("Order"), order=ORDER_JSON),
        },
        "304": {
            "description": "The client has it.",
            "headers": headers(ETag="The tag that matched.", Cache_Control="private"),
        },
        **problems(
            _BAD_PATH,
            (ORDER_NOT_FOUND, "no order with this order_uid", ()),
            (UNKNOWN_PATH, "a slash in an order_uid is written %2F", ()),
            (NOT_ACCEPTABLE, "offered: application/json", ()),
            (DAMAGED, "the stored order is incomplete: it has no row in payments", ()),
            UNEXPECTED,
            _MAY_NOT_READ,
            _NO_DATABASE,
            (OVERLOADED, "too much waits for other clients", ()),
        ),
    },
)

DELETE_ORDER = Operation(
    id="deleteOrder",
    tag="orders",
    requires=ADMIN,
    summary="Forget an order",
    description="Deletes the order from the database and from all caches, and keeps it from being "
    "stored again, whether or not it was stored. Other processes do not serve it any more a second "
    "later. Repeating it is safe.",
    parameters=(_UID_PARAMETER,),
    responses={
        "204": {"description": "It is forgotten."},
        **problems(
            _BAD_PATH,
            _CROSS_SITE,
            (
                FORBIDDEN,
                NO_ACCESS_CONTROL,
                (),
            ),
            (ORDER_NOT_FOUND, "an order_uid cannot contain U+0000", ()),
            (UNKNOWN_PATH, "a slash in an order_uid is written %2F", ()),
            UNEXPECTED,
            _MAY_NOT_FORGET,
            _NO_DATABASE,
        ),
    },
)

LIST_ORDERS = Operation(
    id="listOrders",
    tag="orders",
    requires=READ,
    summary="List orders",
    description="Newest first (by date_created, then by order_uid as bytes). Without limit and "
    "cursor all orders are streamed; if the transfer is aborted, the list is incomplete. A page "
    "links to the next one, and the link stays valid when orders are stored in the meantime. An "
    "order that has lost a part in the database is left out, so a page may be short; requested by "
    "its order_uid, it is the error `damaged`. Summaries do not read deliveries, so an order that "
    "has lost only that is among them. With "
    "`Accept: application/x-ndjson` there is one order per line.",
    parameters=_list_parameters(),
    responses={
        "200": {
            "description": "The orders; there may be none.",
            "headers": headers(Link='`<...>; rel="next"` where another page follows.'),
            "content": content(
                "application/json",
                {"anyOf": [array_of("Order"), array_of("OrderSummary")]},
                orders=[ORDER_JSON],
                summaries=[SUMMARY_JSON],
            )
            | content("application/x-ndjson", {"type": "string"}, orders=_LINE),
        },
        **problems(
            (
                INVALID_REQUEST,
                "parameters are not valid",
                (ProblemError("must be a number from 1 to 1000", parameter="limit"),),
            ),
            (NOT_ACCEPTABLE, "offered: application/json and application/x-ndjson", ()),
            UNEXPECTED,
            _MAY_NOT_READ,
            _NO_DATABASE,
            (OVERLOADED, "too many lists are read at a time", ()),
        ),
    },
)

ORDER_EVENTS = Operation(
    id="orderEvents",
    tag="orders",
    requires=READ,
    summary="Watch orders",
    description="Server-sent events of what is stored (`stored`, with a summary) and forgotten "
    "(`forgotten`, with the order_uid), by whichever process. A client that sends the last id it "
    "has seen misses nothing, and may see an event again; EventSource does so by itself. "
    "Without an id the stream begins now. It ends from time to time, and is to be resumed. "
    "`reset`: the id is not known any more, as after the database was restored; read the list "
    "again.",
    parameters=(
        {
            "name": "last_event_id",
            "in": "query",
            "description": "As the header Last-Event-ID, for clients that cannot set it.",
            "schema": {"type": "string", "format": "orders-event-id"},
        },
    ),
    responses={
        "200": {
            "description": "A stream without an end; comments are heartbeats.",
            "content": content("text/event-stream", {}),
        },
        **problems(
            (
                INVALID_REQUEST,
                "parameters are not valid",
                (ProblemError("must be the id of an event", parameter="last_event_id"),),
            ),
            UNEXPECTED,
            _MAY_NOT_READ,
            (UNSUPPORTED, "there are no events where PostgreSQL has Citus", ()),
            _NO_DATABASE,
            (OVERLOADED, "too many clients listen to events", ()),
        ),
    },
)

POST_ORDERS = Operation(
    id="postOrders",
    tag="orders",
    requires=WRITE,
    summary="Send orders to the topic",
    description="One order or an array, checked as a whole: either all orders are published, or "
    "none is and every fault is listed. They are stored soon after; repeating a request is safe. "
    "Within one array an order_uid may be repeated only with the same content. Any Content-Type is "
    "accepted. After 503 some orders may be on the topic already; repeat the whole request.",
    request_body={
        "required": True,
        "content": content(
            "application/json",
            {"oneOf": [ref("NewOrder"), array_of("NewOrder", minItems=1)]},
            one=ORDER_JSON,
            several=[ORDER_JSON],
        ),
    },
    responses={
        "202": {
            "description": "All orders are on the topic, on every replica.",
            "headers": headers(Location="Where the order will be served; /orders for several."),
            "content": content("application/json", ref("OrderUids"), one=_UIDS, several=_UIDS),
        },
        **problems(
            (INCOMPLETE_BODY, "the body ended early", ()),
            _CROSS_SITE,
            (SLOW_BODY, "the body did not arrive within 30 s", ()),
            (TOO_LARGE, "the body is larger than this service reads", ()),
            (TOO_LARGE, "an order is larger than this service stores", ()),
            (UNSUPPORTED_ENCODING, "bodies are read as they are, without Content-Encoding", ()),
            (
                INVALID,
                "the document breaks rules",
                (
                    ProblemError("expected int, got str", pointer="/payment/amount"),
                    ProblemError("is required", pointer="/items/0/price"),
                ),
            ),
            (
                UNDECODABLE,
                "the document is not JSON in UTF-8",
                (ProblemError("must be JSON (byte 14)", pointer=""),),
            ),
            UNEXPECTED,
            _MAY_NOT_SEND,
            _NO_BROKER,
            (OVERLOADED, "too many large bodies at a time", ()),
        ),
    },
)


def random_orders(method: str, most: int, more: str = "") -> Operation:
    """POST or GET /random/{amount}, where ``most`` is the largest amount."""
    return Operation(
        id=f"{method}Random",
        tag="random",
        requires=WRITE,
        summary="Create random orders and send them to the topic",
        description="Creates this many consistent orders; they are stored soon after." + more,
        parameters=(
            {
                "name": "amount",
                "in": "path",
                "required": True,
                "description": "A natural number in ASCII digits, without sign or leading zero.",
                "schema": {"type": "integer", "minimum": 1, "maximum": most},
                "example": 1,
            },
        ),
        responses={
            "200": {
                "description": "The created orders.",
                "content": content(
                    "application/json", array_of("Order"), orders=[RANDOM_ORDER_JSON]
                ),
            },
            **problems(
                (
                    INVALID_REQUEST,
                    "no such amount",
                    (ProblemError(f"must be a number from 1 to {most}", parameter="amount"),),
                ),
                _CROSS_SITE,
                UNEXPECTED,
                _MAY_NOT_SEND,
                _NO_BROKER,
            ),
        },
    )


LIVE = Operation(
    id="live",
    tag="health",
    requires=NOTHING,
    summary="Is the process alive?",
    description="Does not check anything else.",
    responses={
        "200": {
            "description": "It is.",
            "content": content("application/json", ref("Liveness"), live={"state": "live"}),
        }
    },
)

_SINCE = "2021-11-26T06:22:19Z"
_UP = {"state": "up", "since": _SINCE}
_NO_REDIS = {"state": "down", "since": _SINCE, "reason": "refuses connections"}
_NO_POSTGRES = {"state": "down", "since": _SINCE, "reason": _NO_DATABASE[1]}


def _readiness(description: str, state: str, **parts: Any) -> dict[str, Any]:
    example = {"state": state, "parts": parts}
    body = content("application/json", ref("Readiness"), **{state: example})
    return {"description": description, "content": body}


READY = Operation(
    id="ready",
    tag="health",
    requires=NOTHING,
    summary="Can it serve requests?",
    description="The state of each dependency, and since when. Without the database only cached "
    "orders are served; without Kafka or Redis reads continue.",
    responses={
        "200": _readiness(
            "Ready, or degraded.", "degraded", postgres=_UP, kafka=_UP, redis=_NO_REDIS
        ),
        "503": _readiness("Not ready.", "unavailable", postgres=_NO_POSTGRES, kafka=_UP, redis=_UP),
    },
)
