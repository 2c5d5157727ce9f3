"""How this process logs: structlog for our lines, the same form for those of the libraries.

No line holds personal data, a body or a DSN. Our own lines are written so; of an exception that is
not ours the text is left out, since drivers put values of rows and addresses of servers into it.
Its type and the places that it passed remain.
"""

import logging
import sys
import traceback
from functools import partial
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from orders.domain.errors import OrdersError

_QUIET = {
    # Chatter on every reconnect at warning and error; what matters of it is logged by the adapters.
    "kafka": logging.CRITICAL,
    "psycopg": logging.CRITICAL,
    "redis": logging.ERROR,
    "asyncio": logging.WARNING,
    "_granian": logging.WARNING,
    "litestar": logging.CRITICAL,
}
_LEVELS = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}


def configure(level: str, form: str, *, process: str, stream: TextIO = sys.stderr) -> None:
    """Set logging up for this process.

    Args:
        level: least severity that is logged: debug, info, warning or error.
        form: json, console, or auto (console on a terminal).
        process: the name that every line carries, such as "api".
        stream: where lines go.
    """
    console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _safe_exception,
        _name_process(process),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer(serializer=_to_json)
    )
    # Our own lines ask the library's loggers for nothing but their level: through them a line takes
    # 50 us instead of 13, and every look-up of an order that does not exist writes one.
    structlog.configure(
        processors=[_drop_below_level, *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=partial(_Writer, stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)


class _Writer:
    """Writes lines to ``stream``; ``name`` is that of the logger."""

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self._stream = stream
        self.name = name
        self.is_enabled = logging.getLogger(name).isEnabledFor

    def msg(self, line: str) -> None:
        """Write a line in one go, for threads not to mix theirs; a broken stream ends nobody."""
        try:  # suppress() would take as long as the writing
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass

    debug = info = warning = error = exception = critical = msg


def _drop_below_level(logger: _Writer, method: str, event: EventDict) -> EventDict:
    if not logger.is_enabled(_LEVELS[method]):
        raise structlog.DropEvent
    return event


def _to_json(event: EventDict, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _name_process(process: str) -> Processor:
    def add(_: Any, __: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add


def _safe_exception(_: Any, __: str, event: EventDict) -> EventDict:
    """Replace exc_info by types and places; keep a text only where it is known to be safe."""
    given: Any = event.pop("exc_info", None)
    error = given
    if isinstance(given, tuple):
        error = given[1]
    elif given and not isinstance(given, BaseException):
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_describe(error))
    return event


def _describe(error: BaseException) -> list[str]:
    lines: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        lines += [*_describe(cause), "which led to"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, OrdersError):
        kind += f": {error}"
    elif isinstance(error, OSError) and error.strerror:
        kind += f": {error.strerror}"
    lines.append(kind)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            lines += _describe(inner)
    return lines
