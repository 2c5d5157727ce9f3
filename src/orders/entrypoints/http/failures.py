"""From an exception to an answer, with a line in the log where nobody foresaw it."""

import structlog

from orders.entrypoints.http.answer import Answer
from orders.entrypoints.http.problems import answer_to, is_foreseen

log = structlog.get_logger("orders.http")


def answer_and_report(error: Exception, request_id: str) -> Answer:
    """The answer to a request that ended in ``error``."""
    if not is_foreseen(error):
        log.error("unforeseen error", exc_info=error)
    return answer_to(error, request_id)
