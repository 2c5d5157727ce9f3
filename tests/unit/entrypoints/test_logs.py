"""The log's form, and that no exception of a library brings a value into it."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orders.adapters.traced.exporter import LoggedExporter
from orders.domain.errors import Unavailable
from orders.entrypoints import logs
from orders.entrypoints.trace_ids import add_trace_ids


def configured(**options: Any) -> io.StringIO:
    stream = io.StringIO()
    logs.configure("info", "json", process="test", stream=stream, **options)
    return stream


@pytest.fixture
def stream() -> io.StringIO:
    return configured()


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


def test_lines_have_the_ids_of_the_span_that_is_active() -> None:
    context = SpanContext(0xA, 0xB, is_remote=False)
    stream = configured(more=[add_trace_ids])
    structlog.get_logger("a").info("before")
    with use_span(NonRecordingSpan(context)):
        structlog.get_logger("a").info("within")
        logging.getLogger("some.library").warning("within")
    before, *within = lines(stream)
    assert "trace_id" not in before
    assert [(line["trace_id"], line["span_id"]) for line in within] == [
        (f"{0xA:032x}", f"{0xB:016x}")
    ] * 2


def test_what_clients_send_is_not_repeated_by_the_tracing_library(stream: io.StringIO) -> None:
    headers = {"traceparent": f"00-{1:032x}-{1:016x}-01", "tracestate": "a person=Test Testov"}
    TraceContextTextMapPropagator().extract(headers)
    assert stream.getvalue() == ""


def test_of_its_variables_the_tracing_library_tells_what_is_no_secret(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "some")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(LoggedExporter()))
    provider.shutdown()
    text = stream.getvalue()
    for told in ("Unsupported compression type", "OTEL_BSP_MAX_QUEUE_SIZE", "sampler some"):
        assert told in text
    assert "hunter2" not in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_line_that_cannot_be_written_fails_nothing_later() -> None:
    code = (
        "import structlog, sys; from orders.entrypoints import logs; "
        "logs.configure('info', 'json', process='test'); structlog.get_logger('a').info('b'); "
        "sys.stderr.flush()"  # as multiprocessing does before it starts a process
    )
    with Path("/dev/full").open("w") as full:
        environment = dict(os.environ, PYTHONUNBUFFERED="")
        argv = [sys.executable, "-c", code]
        process = subprocess.run(argv, stderr=full, env=environment, check=False)
    assert process.returncode == 0
