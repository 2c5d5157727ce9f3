"""Settings of all tests."""

import gc

import hypothesis
import pytest
import structlog

# They are no test modules, so pytest would not look into their asserts by itself.
pytest.register_assert_rewrite("tests.asyncapi", "tests.contracts", "tests.http_examples")

# A deadline for each example would measure the machine, not the code.
hypothesis.settings.register_profile("common", deadline=None, max_examples=20)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=100)  # make properties
hypothesis.settings.load_profile("common")

# By default a traceback is drawn with every local variable in it: seconds, for the application.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_finish() -> None:
    """Keep the tests themselves out of the garbage collections, which would take 0.4 s each."""
    gc.freeze()
