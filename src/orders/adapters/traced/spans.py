"""Creates the spans of the decorators."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
    use_span,
)

from orders.domain.errors import OrdersError

Attributes = Mapping[str, str | int | bool]


def database_attributes(system: str, operation: str, size: int = 1) -> dict[str, str | int | bool]:
    """What a call of a database says, by the semantic conventions; ``size``: of its batch."""
    common: dict[str, str | int | bool] = {
        "db.system.name": system,
        "db.operation.name": operation,
    }
    return common | ({"db.operation.batch.size": size} if size > 1 else {})


class Spans:
    """Creates spans by ``tracer``.

    An exception marks the span as failed. Its text and stack are left out, since drivers put values
    of rows and addresses of servers into them, except for the text of our own errors.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def child(
        self,
        name: str,
        attributes: Attributes | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Iterator[Span]:
        """Record the block as a part of the current span, if that is recorded.

        So work in the background, such as health checks, begins no trace.
        """
        if get_current_span().is_recording():
            with _running(self._tracer.start_span(name, None, kind, attributes)) as span:
                yield span
        else:
            yield INVALID_SPAN

    @contextmanager
    def child_of(
        self, parent: SpanContext, name: str, attributes: Attributes, kind: SpanKind
    ) -> Iterator[Span]:
        """Record the block as a part of a span that may have ended, if that was recorded."""
        if parent.trace_flags.sampled:
            span = self._tracer.start_span(name, _in_context(parent), kind, attributes)
            with _running(span):
                yield span
        else:
            yield INVALID_SPAN

    @contextmanager
    def shared(
        self,
        callers: Sequence[Span],
        name: str,
        attributes: Attributes,
        kind: SpanKind,
    ) -> Iterator[Span]:
        """Record the block as a part of the current span, or else of the first of ``callers``.

        The spans of the other callers get links to it.
        """
        if get_current_span().is_recording() or not callers:
            with self.child(name, attributes, kind) as span:
                yield span
            return
        context = set_span_in_context(callers[0])
        with _running(self._tracer.start_span(name, context, kind, attributes)) as span:
            for caller in callers[1:]:
                caller.add_link(span.get_span_context())
            yield span

    @contextmanager
    def of_messages(
        self,
        senders: Sequence[SpanContext],
        name: str,
        attributes: Attributes,
        started: int,
    ) -> Iterator[Span]:
        """Record the block, which began at ``started``, as the processing of messages.

        It belongs to the trace of the first of ``senders``, and has links to all of them. Each of
        the other traces gets a span that links to it, once it has succeeded. Without senders it is
        a trace of its own.
        """
        kind = SpanKind.CONSUMER
        context = _in_context(senders[0]) if senders else None
        links = [Link(sender) for sender in senders]
        made = self._tracer.start_span(name, context, kind, attributes, links, started)
        with _running(made) as span:
            yield span
        to_batch = [Link(span.get_span_context())]
        for sender in senders[1:]:
            context = _in_context(sender)
            self._tracer.start_span(name, context, kind, attributes, to_batch, started).end()

    def past(self, name: str, started: int, ended: int) -> None:
        """Record a part of the current span that is over."""
        if get_current_span().is_recording():
            self._tracer.start_span(name, start_time=started).end(ended)


def _in_context(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent))


@contextmanager
def _running(span: Span) -> Iterator[Span]:
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(
                StatusCode.ERROR, str(error) if isinstance(error, OrdersError) else None
            )
            raise
