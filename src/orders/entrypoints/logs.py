"""Logging: structlog for our own lines, and the same format for those of libraries.

No line holds personal data, a request body or a DSN. The text of a foreign exception is left out,
since drivers put values of rows and addresses of servers into it; its type and stack remain.
"""

import io
import logging
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from orders.domain.errors import OrdersError

_QUIET = {
    # They log every reconnect as a warning or error; the adapters log what matters.
    "kafka": logging.CRITICAL,
    "psycopg": logging.CRITICAL,
    "redis": logging.ERROR,
    "asyncio": logging.WARNING,
    # It repeats errors that the application has logged, and tells of each broken request.
    "uvicorn": logging.CRITICAL,
    "litestar": logging.CRITICAL,
    # It repeats what clients send, headers for the exporter, and each failure to export.
    "opentelemetry": logging.CRITICAL,
    **dict.fromkeys(  # they tell of variables that they cannot use
        (
            "opentelemetry.exporter.otlp.proto.http._common",
            "opentelemetry.sdk.trace.export",
            "opentelemetry.sdk.trace.sampling",
        ),
        logging.WARNING,
    ),
}
_LEVELS = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}


def configure(
    level: str,
    form: str,
    *,
    process: str,
    stream: TextIO = sys.stderr,
    more: Sequence[Processor] = (),
) -> None:
    """Configure logging for this process.

    Args:
        level: the lowest level that is logged: debug, info, warning or error.
        form: json, console, or auto (console on a terminal).
        process: the name of the process in every line, such as "api".
        stream: where lines go.
        more: further processors of each line.
    """
    stream = _unbuffered(stream)
    console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _safe_exception,
        _name_process(process),
        *more,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer(serializer=_to_json)
    )
    # Our own lines bypass the loggers of the standard library, except for their level, since those
    # are several times slower.
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


def _unbuffered(stream: TextIO) -> TextIO:
    """Return the same without a buffer, if it is a file.

    A line that cannot be written, as on a full disk, would stay in the buffer and fail whoever
    flushes it next: multiprocessing before it starts a worker, and Python at its end (with 120).
    """
    try:
        raw = io.FileIO(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        cast("Any", raw), stream.encoding, stream.errors, line_buffering=True, write_through=True
    )


class _Writer:
    """Writes lines to ``stream``; ``name`` is the name of the logger."""

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self._stream = stream
        self.name = name
        self.is_enabled = logging.getLogger(name).isEnabledFor

    def msg(self, line: str) -> None:
        """Write a line in one call, so that threads do not mix theirs; errors are ignored."""
        try:  # suppress() is slow on this path
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
    """Replace exc_info by the types and stacks of the exceptions, and by texts that are safe."""
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
