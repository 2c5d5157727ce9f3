"""Traces in the headers of messages: W3C Trace Context, and what spans say about a topic."""

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orders.domain.intake.messages import Message

MAX_SENDERS = 128
"""Traces that one batch is recorded in; as many as a span may have links by default."""

_Carrier = tuple[tuple[str, str], ...]
_HEADERS = frozenset({"traceparent", "tracestate"})
_PROPAGATOR = TraceContextTextMapPropagator()


class Topic:
    """A topic in the attributes of spans; ``system`` is ``kafka``, or ``memory``.

    ``group``: that of the consumer, for spans of a consumer.
    """

    def __init__(self, system: str, name: str, group: str | None = None) -> None:
        self.name = name
        self._common = {"messaging.system": system, "messaging.destination.name": name}
        if group is not None:
            self._common["messaging.consumer.group.name"] = group

    def attributes(self, operation: str, kind: str) -> dict[str, str | int | bool]:
        """The attributes of ``operation``, which is a ``kind`` of the semantic conventions."""
        return {
            **self._common,
            "messaging.operation.name": operation,
            "messaging.operation.type": kind,
        }


def current_headers() -> dict[str, str]:
    """The headers that tell the current span, recorded or not; none if there is none."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers


def senders_of(messages: Iterable[Message]) -> tuple[SpanContext, ...]:
    """The spans in which the messages were sent; see ``decisive``."""
    carriers = dict.fromkeys(
        carrier for message in messages if message.headers and (carrier := _carrier_of(message))
    )
    return decisive(map(_sender_in, carriers))


def decisive(senders: Iterable[SpanContext]) -> tuple[SpanContext, ...]:
    """The different ones of ``senders`` that are recorded, up to ``MAX_SENDERS``.

    If there are none, one that is not, so that its decision holds here, too.
    """
    recorded: dict[tuple[int, int], SpanContext] = {}
    other: tuple[SpanContext, ...] = ()
    for sender in senders:
        if sender.trace_flags.sampled:
            recorded[sender.trace_id, sender.span_id] = sender
            if len(recorded) == MAX_SENDERS:
                break
        elif sender.is_valid:
            other = other or (sender,)
    return tuple(recorded.values()) or other


def _sender_in(carrier: _Carrier) -> SpanContext:
    return get_current_span(_PROPAGATOR.extract(dict(carrier), Context())).get_span_context()


def _carrier_of(message: Message) -> _Carrier:
    return tuple(
        (name, value.decode("latin-1")) for name, value in message.headers if name in _HEADERS
    )
