"""Which keys are read: exact names, the last of repeated ones, and the old producer's dialect."""

import json

import pytest

from tests.unit.domain.order.reference import (
    ABSENT,
    REFERENCE,
    changed,
    faults,
    field,
    read_document,
    read_raw,
    the_order,
)

REQUIRED = (
    "order_uid",
    "track_number",
    "customer_id",
    "sm_id",
    "date_created",
    "delivery",
    "payment",
    "items",
)
REFERENCE_ORDER = the_order(read_document(REFERENCE))


class TestKeys:
    @pytest.mark.parametrize("value", [None, 1, 1.5, "x", [], {"order_uid": 1}, [[[{}]]], "\0"])
    def test_an_unknown_field_is_ignored(self, value: object) -> None:
        for path in ("unknown", "delivery.unknown", "payment.unknown", "items.0.unknown"):
            assert the_order(read_document(changed(path, value))) == REFERENCE_ORDER

    @pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}])
    def test_a_lone_surrogate_in_an_unknown_field_is_ignored_with_it(self, value: object) -> None:
        assert the_order(read_document(changed("unknown", value))) == REFERENCE_ORDER

    @pytest.mark.parametrize("path", ["\ud800", "delivery.\ud800", "items.0.x\udfff"])
    def test_a_lone_surrogate_in_the_name_of_an_unknown_field_too(self, path: str) -> None:
        assert the_order(read_document(changed(path, "x"))) == REFERENCE_ORDER

    @pytest.mark.parametrize(
        "name", ["Order_uid", "ORDER_UID", "orderUid", "order_uid ", "order-uid"]
    )
    def test_keys_match_exactly(self, name: str) -> None:
        document = changed("order_uid", ABSENT) | {name: "x"}
        assert faults(read_document(document)) == ["$.order_uid: is required"]

    def test_the_order_of_keys_does_not_matter(self) -> None:
        backwards = dict(reversed(REFERENCE.items()))
        assert the_order(read_document(backwards)) == REFERENCE_ORDER

    def test_all_faults_are_told_in_the_order_of_the_document(self) -> None:
        document = changed("order_uid", "")
        document = changed("delivery.phone", "0", document)
        document = changed("payment.amount", "1817", document)
        document = changed("payment.bank", 1, document)
        document = changed("items.0.price", -1, document)
        document = changed("sm_id", ABSENT, document)
        document = changed("date_created", "today", document)
        document["items"].append(None)
        assert faults(read_document(document)) == [
            "$.order_uid: must be 1 to 255 characters and not blank",
            "$.delivery.phone: must not start with 0",
            "$.payment.amount: expected int, got str",
            "$.payment.bank: expected str, got int",
            "$.items[0].price: must not be negative and must fit 64 bits",
            "$.items[1]: expected object, got null",
            "$.sm_id: is required",
            (
                "$.date_created: must be RFC 3339 with an offset, without a leap second, and, "
                "rounded to microseconds, in the years 1 to 9999"
            ),
        ]

    def test_an_empty_object_lacks_all_that_is_required(self) -> None:
        missing = {fault.partition(": ")[0] for fault in faults(read_document({}))}
        assert missing == {f"$.{name}" for name in REQUIRED}


class TestRepeatedKeys:
    @pytest.mark.parametrize(
        ("first", "last", "expected"),
        [('"a"', '"b"', "b"), ("1", '"b"', "b"), ('"a"', "null", ""), ('"\\ud800"', '"b"', "b")],
    )
    def test_the_last_one_wins(self, first: str, last: str, expected: str) -> None:
        assert with_repeated("entry", first, last) == expected

    def test_a_wrong_last_one_is_wrong(self) -> None:
        raw = repeated("entry", '"a"', "1")
        assert faults(read_raw(raw)) == ["$.entry: expected str, got int"]

    def test_objects_are_not_merged(self) -> None:
        raw = repeated("delivery", json.dumps(REFERENCE["delivery"]), '{"name": "x"}')
        delivery = the_order(read_raw(raw)).delivery
        assert (delivery.name, delivery.city) == ("x", "")


def repeated(name: str, first: str, last: str) -> str:
    rest = json.dumps(changed(name, ABSENT))[1:-1]
    return f'{{"{name}": {first}, {rest}, "{name}": {last}}}'


def with_repeated(name: str, first: str, last: str) -> object:
    return field(the_order(read_raw(repeated(name, first, last))), name)


class TestDialect:
    """One old producer writes ``oof_shard`` as ``status``."""

    OLD = changed("oof_shard", ABSENT)

    def test_a_text_stands_for_oof_shard_where_that_is_absent(self) -> None:
        assert the_order(read_document(self.OLD | {"status": "7"})).oof_shard == "7"

    def test_it_does_not_where_oof_shard_is_there(self) -> None:
        assert the_order(read_document(REFERENCE | {"status": "7"})) == REFERENCE_ORDER

    def test_it_does_not_where_oof_shard_is_null(self) -> None:
        order = the_order(read_document(REFERENCE | {"oof_shard": None, "status": "7"}))
        assert order.oof_shard == ""

    @pytest.mark.parametrize("status", [7, None, True, {}, ["7"]])
    def test_what_is_no_text_is_an_unknown_field(self, status: object) -> None:
        assert the_order(read_document(self.OLD | {"status": status})).oof_shard == ""

    def test_its_faults_are_those_of_oof_shard(self) -> None:
        assert faults(read_document(self.OLD | {"status": "\0"})) == [
            "$.oof_shard: must not hold U+0000"
        ]

    def test_in_arrays_as_well(self) -> None:
        reading = read_document([self.OLD | {"status": "7"}, REFERENCE])
        assert [a.order.oof_shard for a in reading.accepted] == ["7", REFERENCE["oof_shard"]]
