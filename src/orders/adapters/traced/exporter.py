"""Sends spans by OTLP over HTTP, and logs when that begins to fail and when it works again."""

from collections.abc import Sequence
from typing import Any

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_log = structlog.get_logger(__name__)


class LoggedExporter(SpanExporter):
    """Exports by the OTEL_EXPORTER_OTLP_* variables.

    The exporter's own lines are not logged: one for each attempt, with addresses.
    """

    def __init__(self) -> None:
        self._session = _Session()
        self._exporter = OTLPSpanExporter(session=self._session)
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See ``SpanExporter.export``."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.info("spans can be exported again", lost=self._lost)
            self._lost = 0
        else:
            if not self._lost:
                _log.warning("spans cannot be exported", reason=self._session.outcome)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        """See ``SpanExporter.shutdown``."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _Session(requests.Session):
    """Notes the outcome of the last request, of which the exporter tells only its log."""

    outcome = "not tried"

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            response = super().request(*args, **kwargs)
        except Exception as error:
            self.outcome = type(error).__name__  # its text has the address
            raise
        self.outcome = f"HTTP {response.status_code}"
        return response
