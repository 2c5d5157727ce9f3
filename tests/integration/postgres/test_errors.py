"""Each SQLSTATE is translated, and no text of the driver is repeated."""

import psycopg
import pytest
from psycopg.errors import lookup
from psycopg_pool import PoolClosed, PoolTimeout

from orders.adapters.postgres.errors import (
    condition,
    is_access_fault,
    is_row_fault,
    is_too_long,
    rejection_reason,
    sanitize,
    translated,
)
from orders.domain.errors import Misconfigured, OrdersError, Unavailable

SECRET = "Failing row contains (Ivan Ivanov, +79991234567)"

PASSING = ["25006", "08006", "40001", "40P01", "53300", "55P03", "57014", "57P01", "58030"]
ACCESS = ["0A000", "28P01", "3D000", "3F000", "42501", "42601", "42P01", "42703"]
ROW = ["22003", "22021", "23502", "23514", "44000", "54000", "P0001"]
OTHERS = ["25P02", "26000", "XX000", "XX001"]


def error_of(state: str | None) -> psycopg.Error:
    if state is None:
        return psycopg.OperationalError(SECRET)
    try:
        kind = lookup(state)
    except KeyError:
        kind = type("Unheard", (psycopg.DatabaseError,), {"sqlstate": state})
    return kind(SECRET)


@pytest.mark.parametrize("state", PASSING)
def test_transient_errors(state: str) -> None:
    error = translated(error_of(state))
    assert type(error) is Unavailable
    assert SECRET not in str(error)
    assert not is_row_fault(error_of(state))


@pytest.mark.parametrize("state", ACCESS)
def test_missing_tables_and_rights_may_be_repaired_meanwhile(state: str) -> None:
    error = translated(error_of(state))
    assert type(error) is (Misconfigured if state == "42501" else Unavailable)
    assert is_access_fault(error_of(state))
    assert SECRET not in str(error)
    assert not is_row_fault(error_of(state))


@pytest.mark.parametrize("state", ROW)
def test_faults_of_a_row(state: str) -> None:
    assert is_row_fault(error_of(state))
    assert rejection_reason(error_of(state)) == f"PostgreSQL refuses it: {condition(state)}"
    assert type(translated(error_of(state))) is OrdersError


@pytest.mark.parametrize("state", [*OTHERS, "99999"])
def test_what_nobody_foresaw_is_neither(state: str) -> None:
    error = translated(error_of(state))
    assert type(error) is OrdersError
    assert state in str(error)
    assert SECRET not in str(error)
    assert not is_row_fault(error_of(state))


def test_the_classes_are_covered_whole() -> None:
    names = [state for state in psycopg.errors._sqlcodes if len(state) == 5]
    assert len(names) > 200
    for state in names:
        passing = isinstance(translated(error_of(state)), Unavailable)
        assert passing == (
            state[:2] in {"08", "40", "53", "55", "57", "58"}
            or state[:2] in {"0A", "0L", "0P", "28", "3D", "3F", "42"}
            or state in {"25006", "25P03", "25P04"}
        )
        assert is_row_fault(error_of(state)) == (state[:2] in {"22", "23", "44", "54", "P0"})


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError(SECRET),
        psycopg.InterfaceError(SECRET),
        psycopg.Error(SECRET),
        PoolTimeout(SECRET),
        PoolClosed(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_a_sqlstate_there_is_no_connection(error: psycopg.Error) -> None:
    assert type(translated(error)) is Unavailable
    assert SECRET not in str(translated(error))
    assert not is_row_fault(error)


def test_only_a_cancelled_statement_is_too_long() -> None:
    assert [state for state in PASSING + ACCESS + ROW + OTHERS if is_too_long(error_of(state))] == [
        "57014"
    ]


def test_silence_takes_the_words_and_leaves_the_rest() -> None:
    error = sanitize(error_of("23514"))
    assert str(error) == "check violation (23514)"
    assert error.sqlstate == "23514"
    assert SECRET not in repr(error)
    assert str(sanitize(error_of(None))) == "OperationalError"


def test_conditions_have_names() -> None:
    assert condition("22003") == "numeric value out of range (22003)"
    assert condition("99999") == "SQLSTATE 99999"
