"""The ids of the current trace in lines of the log; imported only if tracing is on."""

from typing import Any

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from structlog.typing import EventDict


def add_trace_ids(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Add ``trace_id`` and ``span_id`` while a span is active, as a processor of structlog."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
        event["span_id"] = format_span_id(context.span_id)
    return event
