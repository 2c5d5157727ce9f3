"""Records requests as spans of OpenTelemetry; imported only if tracing is on."""

from http import HTTPMethod

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orders.entrypoints.http.asgi_types import ASGIApp, Message, Receive, Scope, Send
from orders.entrypoints.http.responses import header_values

_METHODS = frozenset(HTTPMethod)
_NOT_TRACED = ("/health/", "/metrics")
"""Paths that are asked for every few seconds."""
_SERVER_ERROR = 500
_PROPAGATOR = TraceContextTextMapPropagator()


class TracedRequests:
    """An ASGI application that records each request to ``app`` as a span.

    The trace is that of the client's ``traceparent``, if there is one. As in the log, a request is
    named by its route: its path, query and addresses may be personal data.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or scope["path"].startswith(_NOT_TRACED):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes = {
            "http.request.method": method,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope["http_version"],
        }
        name = "HTTP" if method == "_OTHER" else method
        context = _sent_by_client(scope)
        span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes)
        with use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            if not span.is_recording():
                await self._app(scope, receive, send)
                return
            await self._record(span, name, scope, receive, send)

    async def _record(
        self, span: Span, name: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def send_noting_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set_attribute("http.response.status_code", status)
                if status >= _SERVER_ERROR:
                    _fail(span, str(status))
            await send(message)

        try:
            await self._app(scope, receive, send_noting_status)
        except BaseException as error:
            _fail(span, type(error).__qualname__)
            raise
        finally:
            if route := scope.get("path_template"):
                span.set_attribute("http.route", route)
                span.update_name(f"{name} {route}")


def _sent_by_client(scope: Scope) -> Context:
    """The client's trace; none if it sends none, or several."""
    parents = header_values(scope["headers"], b"traceparent")
    if len(parents) != 1:
        return Context()
    carrier = {"traceparent": parents[0].decode("latin-1")}
    if states := header_values(scope["headers"], b"tracestate"):
        carrier["tracestate"] = b",".join(states).decode("latin-1")
    return _PROPAGATOR.extract(carrier, Context())


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
