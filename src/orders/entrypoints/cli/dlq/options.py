"""Options and parameter types of the `orders dlq` commands."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import click

from orders.domain.dead_letters.index import MAX_ATTEMPTS, Reference
from orders.domain.intake.messages import ErrorCode

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A time in RFC 3339, in UTC if it has no offset, or how long ago."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """See ``click.ParamType.convert``."""
        text = str(value)
        try:
            if ago := _AGO.fullmatch(text):
                amount, unit = ago.groups()
                return datetime.now(UTC) - timedelta(**{_UNITS[unit]: int(amount)})
            moment = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail("not a time: 2026-01-31, 2026-01-31T12:00:00Z, 90m, 2h, 7d", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class DeadLetterReference(click.ParamType):  # type: ignore[type-arg]
    """A reference to a dead letter."""

    name = "reference"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Reference:
        """See ``click.ParamType.convert``."""
        try:
            return Reference.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


_Command = Callable[..., None]

code_option: Callable[[_Command], _Command] = click.option(
    "--code",
    "codes",
    type=click.Choice(get_args(ErrorCode)),
    multiple=True,
    help="Only dead letters with this code; can be repeated.",
)
since_option: Callable[[_Command], _Command] = click.option(
    "--since", type=Moment(), help="Only failures at or after this time; 2h means 2 hours ago."
)
until_option: Callable[[_Command], _Command] = click.option(
    "--until", type=Moment(), help="Only failures before this time."
)
max_attempts_option: Callable[[_Command], _Command] = click.option(
    "--max-attempts",
    type=click.IntRange(min=1),
    default=MAX_ATTEMPTS,
    show_default=True,
    help="Dead letters that have failed this often are exhausted.",
)
json_option: Callable[[_Command], _Command] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one object per line."
)
