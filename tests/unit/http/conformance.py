"""How schemathesis is to try the API; the tests in process and on a server share it.

All its checks are on. Left out of what it sends is what no schema can tell: U+0000 in texts,
integers written as 1.0, one order_uid twice, instants outside of the years 1 to 9999 of UTC, and
parameters that do not exist (they are refused, so that misspelt filters are).
"""

from datetime import datetime, timedelta, timezone
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig

from orders.domain.order.events import Position
from orders.domain.order.queries import Cursor
from orders.entrypoints.http.orders.cursor import to_text
from orders.entrypoints.http.orders.order_events import to_id
from tests.strategies import identifiers, instants

schemathesis.openapi.format(
    "orders-cursor", st.builds(Cursor, instants(), identifiers()).map(to_text)
)
schemathesis.openapi.format(
    "orders-event-id",
    st.builds(Position, st.integers(0, 2**63 - 1), identifiers()).map(to_id).map(bytes.decode),
)
_OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=_OFFSETS).map(  # noqa: DTZ001
        datetime.isoformat
    ),
)


def config() -> schemathesis.Config:
    generation = GenerationConfig(allow_x00=False, allow_extra_parameters=False)
    return schemathesis.Config(
        projects=ProjectsConfig(default=ProjectConfig(generation=generation))
    )


def effort(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def check(case: schemathesis.Case[Any], **how: Any) -> None:
    """Send it, and hold the answer against the document."""
    case.body = _each_uid_once(_whole(case.body))
    case.call_and_validate(**how)


def _whole(value: Any) -> Any:
    """Integers without a fraction: to JSON Schema 1.0 is one, to an order it is not."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _each_uid_once(body: Any) -> Any:
    """Two orders of one uid are refused, which no schema of theirs can tell."""
    seen = set()
    for i, element in enumerate(body if isinstance(body, list) else ()):
        if isinstance(element, dict) and isinstance(uid := element.get("order_uid"), str):
            if uid in seen:
                element["order_uid"] = f"number {i}"
            seen.add(uid)
    return body
