"""Translates driver errors into those of the domain, by SQLSTATE.

The driver's own texts quote rows ("Failing row contains ...") and addresses, so they are never
repeated: the texts here name only conditions, tables, columns and constraints.
"""

import re

import psycopg
from psycopg.errors import DataError, InternalError_, QueryCanceled, UniqueViolation

from orders.domain.errors import Misconfigured, OrdersError, Unavailable

ORDERS_KEY = "orders_pkey"

_TRANSIENT_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
_TRANSIENT = frozenset(
    {
        "25006",  # the server accepts no writes now: a standby, or a disk nearly full
        "25P03",  # we were idle in a transaction, or it took too long
        "25P04",
    }
)
_NO_RIGHT = "42501"
_LOCK_TIMEOUT, _LOCK_TIMEOUT_TEXT = "55P03", "canceling statement due to lock timeout"
_ROW_CLASSES = frozenset({"22", "23", "44", "54", "P0"})
_ACCESS_CLASSES = frozenset({"0A", "0L", "0P", "28", "3D", "3F", "42"})


def translated(error: psycopg.Error) -> OrdersError:
    """Translate any driver error; OrdersError itself for unexpected ones.

    Unavailable for whatever may pass, or may be repaired while this process runs: no SQLSTATE (no
    connection), the classes 08, 40, 53, 55, 57 and 58, a read-only server, missing tables and
    rights; of rights alone ``Misconfigured``.
    """
    state = _state(error)
    if state is None:
        return Unavailable("the connection to PostgreSQL failed")
    if is_access_fault(error):
        kind = Misconfigured if state == _NO_RIGHT else Unavailable
        return kind(f"PostgreSQL refuses it: {condition(state)}")
    if state in _TRANSIENT or state[:2] in _TRANSIENT_CLASSES:
        return Unavailable(f"PostgreSQL cannot do it now: {condition(state)}")
    return OrdersError(f"PostgreSQL refuses it: {condition(state)}")


def sanitize(error: psycopg.Error) -> psycopg.Error:
    """Replace an error's text by the name of its condition; its type and SQLSTATE stay.

    Otherwise a logged chain of causes would contain rows with personal data.
    """
    state = _state(error)
    error.args = (condition(state) if state else type(error).__name__,)
    return error


def rejection_reason(error: Exception) -> str:
    """Say why a row was rejected, without its values; for errors that are an ``is_row_fault``."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        diag = error.diag
        places = {
            "table": diag.table_name,
            "column": diag.column_name,
            "constraint": diag.constraint_name,
        }
        where = "".join(f", {kind} {name}" for kind, name in places.items() if name)
        return f"PostgreSQL refuses it: {condition(error.sqlstate)}{where}"
    state = "22003" if isinstance(error, OverflowError) else "22021"
    return f"PostgreSQL refuses it: {condition(state)}"


def is_row_fault(error: Exception) -> bool:
    """Whether a row is the cause, not the server.

    UnicodeEncodeError, OverflowError and DataError without SQLSTATE are the driver's own: it could
    not encode the value.
    """
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return error.sqlstate[:2] in _ROW_CLASSES
    return isinstance(error, UnicodeEncodeError | OverflowError | DataError)


def may_be_row_fault(error: Exception) -> bool:
    """Whether a row may be the cause.

    Citus reports whatever a shard refuses during COPY as an internal error.
    """
    if isinstance(error, InternalError_):
        return _state(error) != _LOCK_TIMEOUT
    return is_row_fault(error)


def is_access_fault(error: psycopg.Error) -> bool:
    """Whether tables or rights may be missing, or the server lacks a feature."""
    return (error.sqlstate or "")[:2] in _ACCESS_CLASSES


def is_worker_down(error: psycopg.Error) -> bool:
    """Whether a Citus coordinator, which answers, cannot reach one of its workers."""
    return (error.sqlstate or "").startswith("08")


def is_known_order(error: Exception) -> bool:
    """Whether the cause is an order_uid that is already stored; of a COPY Citus does not tell."""
    if not isinstance(error, UniqueViolation):
        return False
    # A shard's constraint has the shard's number in its name, which Citus gives in the text alone.
    return error.diag.constraint_name == ORDERS_KEY or bool(
        re.search(rf'"{ORDERS_KEY}_\d+"$', error.diag.message_primary or "")
    )


def is_too_long(error: Exception) -> bool:
    """Whether a statement timed out; half of the batch may succeed in time."""
    return isinstance(error, QueryCanceled)


def _state(error: psycopg.Error) -> str | None:
    """Return its SQLSTATE, or that of a lock timeout on a worker of Citus during COPY.

    Of that Citus only passes the text on. To find out by a bisection would take one more lock
    timeout for each step; in another language it has to.
    """
    if isinstance(error, InternalError_) and error.diag.message_primary == _LOCK_TIMEOUT_TEXT:
        return _LOCK_TIMEOUT
    return error.sqlstate


def condition(state: str) -> str:
    """Format a SQLSTATE with its name: ``numeric value out of range (22003)``."""
    try:
        name = psycopg.errors.lookup(state).__name__.rstrip("_")
    except KeyError:
        return f"SQLSTATE {state}"
    return f"{re.sub(r'(?<!^)(?=[A-Z])', ' ', name).lower()} ({state})"
