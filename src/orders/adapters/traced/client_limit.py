"""Limits how many traces clients can have recorded."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span


class ClientLimit(Sampler):
    """Decides as ``sampler`` does, for up to ``per_second`` requests that bring a trace.

    The rest of them is not recorded, nor does what they cause elsewhere. ``clock`` is in seconds.
    """

    def __init__(
        self, sampler: Sampler, per_second: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sampler = sampler
        self._per_second = per_second
        self._clock = clock
        self._available = float(per_second)
        self._at = clock()

    def should_sample(  # noqa: PLR0917 (as in its base class)
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See ``Sampler.should_sample``."""
        result = self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        is_clients = (
            kind is SpanKind.SERVER
            and get_current_span(parent_context).get_span_context().is_remote
        )
        if is_clients and result.decision is not Decision.DROP and not self._admits():
            return SamplingResult(Decision.DROP, trace_state=result.trace_state)
        return result

    def get_description(self) -> str:
        """See ``Sampler.get_description``."""
        return f"ClientLimit{{{self._sampler.get_description()},{self._per_second}}}"

    def _admits(self) -> bool:
        now = self._clock()
        gained = (now - self._at) * self._per_second
        self._available = min(self._per_second, self._available + gained)
        self._at = now
        if self._available < 1:
            return False
        self._available -= 1
        return True
