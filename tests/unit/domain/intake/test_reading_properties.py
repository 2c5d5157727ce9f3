"""What holds for every message, whatever it is."""

import json
from datetime import UTC
from typing import Any

import msgspec
from hypothesis import assume, example, given
from hypothesis import strategies as st

from orders.domain.intake.reading import (
    Accepted,
    Reading,
    _read_tolerantly,
    elements,
    read,
    read_typed,
)
from orders.domain.order.document import encode
from orders.domain.order.model import Order
from orders.domain.order.rules import INT64_MAX, INT64_MIN
from tests import strategies
from tests.unit.domain.order.reference import ABSENT, REFERENCE, changed, leaves

_ODD_VALUES = st.one_of(
    st.sampled_from(
        [
            *(ABSENT, None, True, 0, -1, 1.0, 1e300, "", " ", "0", "1817", [], {}, [None], "\0"),
            *("\\u0000", "\ud800", "x\udc00", "\U0001f600", "x" * 256, "\n0", "2021-11-26"),
            *(INT64_MAX, INT64_MAX + 1, INT64_MIN, INT64_MIN - 1, 2**64, 10**30),
            *("2021-11-26T06:22:19.1234567+03:00", "0001-01-01T00:00:00+01:00"),
        ]
    ),
    st.integers(),
    st.text(max_size=5),
)
_PLACES = st.sampled_from(
    [*leaves(REFERENCE, (str, int)), "delivery", "payment", "items", "status", "unknown"]
)


@st.composite
def bent_documents(draw: st.DrawFn) -> dict[str, Any]:
    """The reference order with a few values replaced by odd ones."""
    document = REFERENCE
    for place, value in draw(st.dictionaries(_PLACES, _ODD_VALUES, max_size=3)).items():
        try:
            document = changed(place, value, document)
        except (KeyError, TypeError, IndexError):  # its parent has been replaced meanwhile
            assume(False)
    return document


def written(document: object, *, ascii_only: bool = True) -> bytes:
    return json.dumps(document, ensure_ascii=ascii_only).encode(errors="surrogatepass")


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Good, bent and damaged documents, alone or in arrays."""
    document = draw(bent_documents())
    junk: st.SearchStrategy[Any] = st.sampled_from([None, 1, "x", []])
    others: list[Any] = draw(st.lists(bent_documents() | junk, max_size=2))
    whole: object = draw(st.sampled_from([document, [document, *others], [*others, document]]))
    data = bytearray(written(whole, ascii_only=draw(st.booleans())))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        scraps = [b"", b",", b'"', b"}", b"]", b"\\", b"\xff", b"\0", b"1", b" ", b'"status":"x",']
        data[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from(scraps))
    return bytes(data)


@given(st.binary(max_size=60) | messages())
def test_no_message_makes_it_raise(value: bytes) -> None:
    reading = read(value)
    places = [a.index for a in reading.accepted] + [r.index for r in reading.refused]
    assert len(places) == len(set(places))
    for refused in reading.refused:
        assert refused.faults
        assert refused.raw in value


@given(messages())
@example(written(REFERENCE | {"entry": "\\u0000"}))
@example(written([REFERENCE, REFERENCE | {"unknown": "\ud800"}]))
@example(written(REFERENCE)[:-1] + b',"unknown":1e999}')
@example(written(REFERENCE)[:-1] + b',"entry":"last"}')
def test_what_the_typed_way_takes_the_tolerant_way_reads_alike(value: bytes) -> None:
    quickly = read_typed(value)
    if quickly is not None:
        tolerantly = _read_tolerantly(value, value)
        assert (tolerantly.refused, tolerantly.is_array) == ((), quickly.is_array)
        found, expected = (
            [(accepted.index, accepted.order) for accepted in reading.accepted]
            for reading in (tolerantly, quickly)
        )
        assert found == expected
        raws = [accepted.raw for accepted in tolerantly.accepted]
        assert raws in (elements(value), [b""])


@given(messages())
def test_an_accepted_order_obeys_the_rules_and_survives_the_wire(value: bytes) -> None:
    for accepted in read(value).accepted:
        order = accepted.order
        assert order.date_created.tzinfo is UTC
        assert not order.delivery.phone.startswith("0")
        for identifier in (order.order_uid, order.track_number, order.customer_id):
            assert identifier.strip()
            assert len(identifier) <= 255
        for path in leaves(msgspec.to_builtins(order), (str, int)):
            place: Any = msgspec.to_builtins(order)
            for name in path.split("."):
                place = place[int(name) if isinstance(place, list | tuple) else name]
            if isinstance(place, int):
                assert INT64_MIN <= place <= INT64_MAX
            else:
                assert "\0" not in place
                place.encode()
        assert read(encode(order)) == Reading((Accepted(0, order),))


@given(st.lists(bent_documents() | st.sampled_from([None, 1, "x", []]), max_size=4))
def test_an_array_is_as_good_as_its_elements_one_by_one(documents: list[Any]) -> None:
    together = read(written(documents))
    for index, document in enumerate(documents):
        alone = read(written(document))
        ours = [a.order for a in together.accepted if a.index == index]
        assert ours == [a.order for a in alone.accepted]
        raws = [r.raw for r in together.refused if r.index == index]
        assert raws == ([] if ours else [written(document)])
        if isinstance(document, dict):
            expected = [fault.under(index) for r in alone.refused for fault in r.faults]
            faults = [fault for r in together.refused if r.index == index for fault in r.faults]
            assert faults == expected


@given(st.lists(bent_documents(), max_size=4), st.sampled_from([",", " ,\n "]))
def test_elements_are_the_very_bytes_that_were_sent(documents: list[Any], glue: str) -> None:
    parts = [written(document) for document in documents]
    assert elements(b"[ " + glue.encode().join(parts) + b" ]") == parts


@given(strategies.orders())
def test_what_is_written_reads_as_the_same(order: Order) -> None:
    reading = read(encode(order))
    assert reading == Reading((Accepted(0, order),))
    assert encode(reading.accepted[0].order) == encode(order)


@given(strategies.batches())
def test_arrays_of_what_is_written_too(orders: list[Order]) -> None:
    reading = read(b"[" + b",".join(map(encode, orders)) + b"]")
    assert [a.order for a in reading.accepted] == orders


@given(strategies.documents())
def test_however_a_producer_writes_it_it_is_the_same_order(
    written_order: tuple[Order, bytes],
) -> None:
    order, document = written_order
    assert [a.order for a in read(document).accepted] == [order]
    assert read(document).refused == ()


@given(strategies.orders())
def test_in_the_old_dialect_as_well(order: Order) -> None:
    document = msgspec.json.decode(encode(order))
    document["status"] = document.pop("oof_shard")
    assert [a.order for a in read(msgspec.json.encode(document)).accepted] == [order]
