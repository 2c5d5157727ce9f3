"""What a drill asserts of a consumer that nothing may disturb."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from drills.stage import Stage

_DISTURBED = ("cannot store, waiting", "commit not confirmed", "consumer tries again")


@contextmanager
def undisturbed(stage: Stage, seconds: float) -> Iterator[None]:
    """One consumer takes all that the block sends, within so many seconds after it.

    The same process all the time, without an error in its log and without waiting for anything.
    """
    stage.consumers.start()
    stage.wait_for_topics()
    yield
    stage.traffic.flush()
    stage.wait_for_lag(seconds)
    ended = stage.consumers.exit_codes()
    assert not ended, f"the consumer ended: {ended}\n{stage.consumers.tail()}"
    for line in stage.consumers.log().splitlines():
        told = json.loads(line)  # whatever is no log line of ours is a traceback
        assert told["level"] in {"debug", "info", "warning"}, f"an error in the log: {line}"
        assert told["event"] not in _DISTURBED, f"the consumer was held up: {line}"
