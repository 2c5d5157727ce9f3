"""Records the sending of dead letters."""

from collections.abc import Sequence

from opentelemetry.trace import SpanKind

from orders.adapters.traced.messaging import Topic
from orders.adapters.traced.spans import Spans
from orders.domain.intake.messages import DeadLetter
from orders.domain.ports import DeadLetters


class TracedDeadLetters(DeadLetters):
    """A ``DeadLetters`` that records what ``dead_letters`` does.

    A dead letter keeps the headers of its message, so a replay of it belongs to the trace of that.
    """

    def __init__(self, dead_letters: DeadLetters, spans: Spans, topic: Topic) -> None:
        self._dead_letters = dead_letters
        self._spans = spans
        self._name = f"send {topic.name}"
        self._attributes = topic.attributes("send", "send")

    async def put(self, dead_letters: Sequence[DeadLetter]) -> None:
        """See ``DeadLetters.put``."""
        attributes = self._attributes | {"messaging.batch.message_count": len(dead_letters)}
        with self._spans.child(self._name, attributes, SpanKind.PRODUCER):
            await self._dead_letters.put(dead_letters)
