"""The log's form, and that no exception of a library brings a value into it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from orders.domain.errors import Unavailable
from orders.entrypoints import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("info", "json", process="test", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object(stream: io.StringIO) -> None:
    structlog.get_logger("a").info("stored", saved=3)
    (line,) = lines(stream)
    assert line["event"] == "stored"
    assert line["saved"] == 3
    assert line["level"] == "info"
    assert line["process"] == "test"
    assert line["timestamp"].endswith("Z")


def test_a_line_names_its_logger(stream: io.StringIO) -> None:
    structlog.get_logger("orders.here").warning("late", since=1)
    assert lines(stream)[0]["logger"] == "orders.here"
    assert stream.getvalue().endswith("\n")


def test_a_stream_that_is_gone_ends_nobody(stream: io.StringIO) -> None:
    stream.close()
    structlog.get_logger("a").info("to nobody")


def test_libraries_lines_have_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("it is %s", "late")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == (
        "it is late",
        "warning",
        "some.library",
    )


def test_below_the_level_nothing_is_written(stream: io.StringIO) -> None:
    structlog.get_logger("a").debug("x")
    logging.getLogger("kafka.conn").error("10.0.0.1 is down")
    assert lines(stream) == []


def test_an_exceptions_text_is_left_out_unless_it_is_ours(stream: io.StringIO) -> None:
    try:
        try:
            raise ValueError("Key (name)=(Ivan Petrov) already exists")
        except ValueError as error:
            raise Unavailable("the database is down") from error
    except Unavailable:
        structlog.get_logger("a").exception("batch failed")
    (line,) = lines(stream)
    assert "Petrov" not in json.dumps(line)
    assert "ValueError" in line["exception"]
    assert "Unavailable: the database is down" in line["exception"]
    assert "test_logs.py" in line["exception"]


def test_a_librarys_exception_likewise(stream: io.StringIO) -> None:
    try:
        raise KeyError("secret")
    except KeyError:
        logging.getLogger("some.library").exception("failed")
    assert "secret" not in stream.getvalue()
    assert "builtins.KeyError" in lines(stream)[0]["exception"]
