"""The instant of an order: RFC 3339 with an offset, to the microsecond, in UTC."""

import json
from datetime import UTC, datetime

import pytest

from orders.domain.order.document import encode
from tests.unit.domain.order.reference import (
    ABSENT,
    changed,
    faults,
    read_document,
    read_raw,
    the_order,
)

RULE = (
    "must be RFC 3339 with an offset, without a leap second, and, rounded to microseconds, "
    "in the years 1 to 9999"
)
NOT_RFC_3339 = [f"$.date_created: {RULE}"]
OUT_OF_RANGE = ["$.date_created: must lie in the years 1 to 9999 of UTC"]


def instant(text: str) -> datetime:
    moment = the_order(read_document(changed("date_created", text))).date_created
    assert moment.tzinfo is UTC
    # By the tolerant way it is the same.
    loose = changed("date_created", text) | {"entry": None}
    assert the_order(read_document(loose)).date_created == moment
    return moment


def faults_of(value: object) -> list[str]:
    return faults(read_document(changed("date_created", value)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-11-26T06:22:19Z", datetime(2021, 11, 26, 6, 22, 19, tzinfo=UTC)),
        ("2021-11-26T06:22:19+00:00", datetime(2021, 11, 26, 6, 22, 19, tzinfo=UTC)),
        ("2021-11-26T06:22:19-00:00", datetime(2021, 11, 26, 6, 22, 19, tzinfo=UTC)),
        ("2021-11-26T06:22:19+03:00", datetime(2021, 11, 26, 3, 22, 19, tzinfo=UTC)),
        ("2021-11-26T06:22:19-11:30", datetime(2021, 11, 26, 17, 52, 19, tzinfo=UTC)),
        ("2021-12-31T23:59:59-23:59", datetime(2022, 1, 1, 23, 58, 59, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("1969-12-31T23:59:59.5Z", datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T23:59:00+23:59", datetime(1, 1, 1, tzinfo=UTC)),
        (
            "9999-12-31T23:59:59.999999Z",
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ),
        ("9999-12-31T00:00:59-23:59", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_whatever_its_offset(text: str, expected: datetime) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("fraction", "microseconds"),
    [
        (".1", 100_000),
        (".123456", 123_456),
        (".1234564", 123_456),
        (".1234565", 123_457),
        (".12345649999999999", 123_456),
        (".0000005", 1),
        (".0000004", 0),
        (".000000", 0),
    ],
)
def test_a_finer_fraction_is_rounded(fraction: str, microseconds: int) -> None:
    assert instant(f"2021-11-26T06:22:19{fraction}Z").microsecond == microseconds


def test_rounding_may_carry_into_the_next_year() -> None:
    assert instant("1999-12-31T23:59:59.9999995Z") == datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2021-11-26T06:22:19",
        "2021-11-26",
        "2021-11-26T06:22Z",
        "06:22:19Z",
        "",
        " ",
        "today",
        "1637907739",
        "2021-11-26T06:22:19Z ",
        " 2021-11-26T06:22:19Z",
        "2021-02-29T00:00:00Z",
        "2021-13-01T00:00:00Z",
        "2021-11-26T24:00:00Z",
        "2021-11-26T06:22:19+24:00",
        "2021-11-26T06:22:19.Z",
        "2021-11-26T06:22:19+0300",
        "2021-11-26T06:22:19-0000",
        "2021-11-26T06:22:19+0000",
        "10000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "2021-11-26T06:22:19Z\0",
    ],
)
def test_naive_and_malformed_ones_are_refused(text: str) -> None:
    expected = ["$.date_created: must not hold U+0000"] if "\0" in text else NOT_RFC_3339
    assert faults_of(text) == expected


@pytest.mark.parametrize("offset", ["\\u002b0300", "\\u002D0000", "+000\\u0030", "+0\\u003000"])
def test_escapes_do_not_hide_that_an_offset_is_malformed(offset: str) -> None:
    raw = json.dumps(changed("date_created", "2021-11-26T06:22:19OFFSET")).replace("OFFSET", offset)
    assert faults(read_raw(raw)) == NOT_RFC_3339


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0001-01-01T23:58:59+23:59"],
)
def test_in_utc_it_lies_in_the_years_1_to_9999(text: str) -> None:
    assert faults_of(text) == OUT_OF_RANGE


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (ABSENT, "is required"),
        (None, "expected str, got null"),
        (1637907739, "expected str, got int"),
        (1.5, "expected str, got float"),
        ({}, "expected str, got object"),
    ],
)
def test_what_is_no_text_is_refused(value: object, fault: str) -> None:
    assert faults_of(value) == [f"$.date_created: {fault}"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2021-11-26T06:22:19Z", b"2021-11-26T06:22:19Z"),
        ("2021-11-26T06:22:19.000000Z", b"2021-11-26T06:22:19Z"),
        ("2021-11-26T06:22:19.1+00:00", b"2021-11-26T06:22:19.100000Z"),
        ("2021-11-26T09:22:19.000001+03:00", b"2021-11-26T06:22:19.000001Z"),
        ("0001-01-01T00:00:00Z", b"0001-01-01T00:00:00Z"),
    ],
)
def test_it_is_written_in_utc_with_no_fraction_or_six_digits(text: str, written: bytes) -> None:
    order = the_order(read_document(changed("date_created", text)))
    assert b'"date_created":"' + written + b'"' in encode(order)
