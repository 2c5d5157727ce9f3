"""Asserts that a consumer works without errors or waiting."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from drills.stage import Stage

_DISTURBED = ("cannot store, waiting", "commit not confirmed", "consumer tries again")


@contextmanager
def undisturbed(stage: Stage, seconds: float) -> Iterator[None]:
    """One consumer processes all that the block sends, within so many seconds after it.

    It does not restart, log an error or wait for a server.
    """
    stage.consumers.start()
    stage.wait_for_topics()
    yield
    stage.traffic.flush()
    stage.wait_for_lag(seconds)
    ended = stage.consumers.exit_codes()
    assert not ended, f"the consumer ended: {ended}\n{stage.consumers.tail()}"
    for line in stage.consumers.log().splitlines():
        entry = json.loads(line)  # a line that is not JSON is a traceback
        assert entry["level"] in {"debug", "info", "warning"}, f"an error in the log: {line}"
        assert entry["event"] not in _DISTURBED, f"the consumer was held up: {line}"
