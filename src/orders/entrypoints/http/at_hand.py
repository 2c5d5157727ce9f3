"""The quick way of an order that is at hand: from the request to the answer in one step."""

import logging

from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.entrypoints.http import request_id as ids
from orders.entrypoints.http.answer import JSON
from orders.entrypoints.http.asgi_types import ASGIApp, Receive, Scope, Send
from orders.entrypoints.http.envelope import NOTHING_LOADS, SAFETY
from orders.entrypoints.http.etag import tag_of
from orders.entrypoints.http.one_order import CACHE_CONTROL
from orders.entrypoints.http.order_path import PREFIX

_TYPE = (b"content-type", JSON)
_NO_SNIFFING, _NO_REFERRER, _NO_EMBEDDING = SAFETY

_log = logging.getLogger("orders.http")


class AtHandShortcut:
    """Answers GET of an order that this process holds, and hands every other request to ``app``.

    The answer is the one that ``app`` would give, header for header; what it takes to tell that it
    is (a plain uid, no condition on the answer, no line for the log) is all that is looked at. With
    everything that stands between server and use case the same costs 13 us, this way 3, where the
    server itself takes 40 for a request.
    """

    def __init__(self, app: ASGIApp, look_up: LookUpOrder, new_ids: ids.IdSource) -> None:
        self._app = app
        self._at_hand = look_up.at_hand
        self._new_id = new_ids.new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raises what ``app`` raises."""
        path = scope.get("raw_path")
        if path is None or scope.get("method") != "GET" or not path.startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        given = scope["headers"]
        headers = dict(given)
        request_id = headers.get(ids.HEADER)
        order_uid = path[len(PREFIX) :].decode("latin-1")
        if (
            b"if-none-match" in headers
            or not order_uid.isascii()
            or "%" in order_uid
            or "/" in order_uid
            or (request_id and (len(headers) < len(given) or not ids.is_sane(request_id)))
            or _log.isEnabledFor(logging.DEBUG)
            or (held := self._at_hand(order_uid)) is None
        ):
            await self._app(scope, receive, send)
            return
        document = held.document
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": (
                    _TYPE,
                    (b"content-length", b"%d" % len(document)),
                    (b"etag", tag_of(held.digest)),
                    CACHE_CONTROL,
                    _NO_SNIFFING,
                    _NO_REFERRER,
                    _NO_EMBEDDING,
                    (ids.HEADER, request_id or self._new_id()),
                    NOTHING_LOADS,
                ),
            }
        )
        await send({"type": "http.response.body", "body": document, "more_body": False})
