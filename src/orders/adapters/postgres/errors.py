"""From the driver's errors to the domain's, by SQLSTATE alone.

The driver's own texts quote rows ("Failing row contains ...") and addresses, so they are never
repeated: what is said here is made of the names of conditions, tables, columns and constraints.
"""

import re

import psycopg
from psycopg.errors import DataError, QueryCanceled, UniqueViolation
from psycopg_pool import PoolTimeout

from orders.domain.errors import OrdersError, Unavailable

ORDERS_KEY = "orders_pkey"

_PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
_PASSING = frozenset(
    {
        "25006",  # a server that takes no writes now: a standby, or a disk nearly full
        "25P03",  # we were idle in a transaction, or it took too long: a hiccup of ours
        "25P04",
    }
)
_ROW_CLASSES = frozenset({"22", "23", "54"})
_NO_SCHEMA = frozenset({"42P01", "42703"})


def translated(error: psycopg.Error) -> OrdersError:
    """The domain's error for any error of the driver; the root kind for what nobody foresaw.

    Unavailable for all that passes by itself or by an operator's hand while this process goes on:
    no SQLSTATE (no connection), the classes 08, 40, 53, 55, 57 and 58, a server that is read-only,
    and tables that are not there yet.
    """
    state = error.sqlstate
    if isinstance(error, PoolTimeout):
        return Unavailable("PostgreSQL is unreachable, or all connections to it are busy")
    if state is None:
        return Unavailable("the connection to PostgreSQL failed")
    if state in _NO_SCHEMA:
        return Unavailable("the database's schema is not up to date: run `orders migrate`")
    if state in _PASSING or state[:2] in _PASSING_CLASSES:
        return Unavailable(f"PostgreSQL cannot do it now: {condition(state)}")
    return OrdersError(f"PostgreSQL refuses it: {condition(state)}")


def sanitize(error: psycopg.Error) -> psycopg.Error:
    """The same error, its text replaced by the condition's name; SQLSTATE and type stay.

    Whoever logs a chain of causes would else log rows of personal data.
    """
    error.args = (condition(error.sqlstate) if error.sqlstate else type(error).__name__,)
    return error


def rejection_reason(error: Exception) -> str:
    """Why a row was refused, for which ``is_row_fault`` holds; without values."""
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
    """Whether a row that was to be written is the reason, and not the server.

    UnicodeEncodeError, OverflowError and DataError without SQLSTATE are the driver's own: it could
    not put the value on the wire.
    """
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return error.sqlstate[:2] in _ROW_CLASSES
    return isinstance(error, UnicodeEncodeError | OverflowError | DataError)


def is_known_order(error: Exception) -> bool:
    """Whether an order_uid is stored already."""
    return isinstance(error, UniqueViolation) and error.diag.constraint_name == ORDERS_KEY


def is_too_long(error: Exception) -> bool:
    """Whether a statement took longer than it may; half of the work may be done in time."""
    return isinstance(error, QueryCanceled)


def condition(state: str) -> str:
    """A SQLSTATE with its name: ``numeric value out of range (22003)``."""
    try:
        name = psycopg.errors.lookup(state).__name__
    except KeyError:
        return f"SQLSTATE {state}"
    return f"{re.sub(r'(?<!^)(?=[A-Z])', ' ', name).lower()} ({state})"
