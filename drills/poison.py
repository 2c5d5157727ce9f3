"""Group 6: messages and elements that are no valid orders, among good ones."""

import json
from collections.abc import Iterator, Sequence

from drills.drill import drill
from drills.expectations import Document, Expected, Good, bad
from drills.stage import Stage
from drills.undisturbed import undisturbed

BOM = b"\xef\xbb\xbf"
NOT_JSON = r"^\$: must be JSON \(byte [0-9]+\)$"
NOT_UTF8 = r"^\$: must be UTF-8 \(byte [0-9]+\)$"
TOO_DEEP = "must not be nested so deep$"

Case = tuple[bytes | None, Sequence[Expected]]


@drill(6, "messages without an order: undecodable, empty, scalars, nested too deep")
def poison_messages(stage: Stage) -> None:
    """Each kind several times, over all partitions, with keys and headers, among good orders."""
    with undisturbed(stage, 60):
        for number in range(20 if stage.long else 1):
            # To find the end of 100,000 levels takes the consumer half a second.
            depths = (1_000, 100_000) if number < 2 else (1_000,)
            for value, expected in _whole_messages(stage.traffic.orders(4), depths):
                headers = [("x-request-id", b"%d" % number), ("trace", None), ("name", b"\xff")]
                key = stage.rng.choice([None, b"", b"key", b"\xff\x00"])
                partition = stage.rng.randrange(stage.partitions)
                stage.traffic.send(value, expected, key=key, headers=headers, partition=partition)
                stage.traffic.send_order(*stage.traffic.orders(1))


@drill(6, "arrays with bad elements among good ones")
def poison_elements(stage: Stage) -> None:
    """One bad element of each kind between two good ones, and many of all kinds in one array."""
    with undisturbed(stage, 120):
        for blank in (b"", b" \n") if stage.long else (b"",):
            for index in range(len(_ELEMENTS) + len(_in_orders({}))):
                first, changed, last = stage.traffic.orders(3)
                raw, detail = [*_ELEMENTS, *_in_orders(changed)][index]
                middle = bad(raw, "invalid", detail=rf"^\$\[1\]{detail}")
                _send_array(stage, [_written(first), (raw, middle), _written(last)], blank)
        stage.say("an array of 900 KB, every tenth element bad")
        _send_array(stage, list(_large_array(stage, 900_000)), b"")
        stage.say("arrays without a valid order")
        elements = [*_ELEMENTS, *_in_orders(*stage.traffic.orders(1))]
        parts = [
            (raw, bad(raw, "invalid", detail=rf"^\$\[{index}\]{detail}"))
            for index, (raw, detail) in enumerate(elements)
        ]
        _send_array(stage, parts, b"")
        stage.say("arrays with very many bad elements")
        many = 7_000 if stage.long else 2_000
        raw = b'{"a":"' + b"x" * 128 + b'"}'
        one = bad(raw, "invalid", detail=r"^\$\[[0-9]+\]\.order_uid: is required; ")
        stage.traffic.send(b"[" + b",".join([raw] * many) + b"]", [one] * many)
        # So small that there are more of them than are refused one by one.
        [order] = stage.traffic.orders(1)
        value = b"[" + b",".join([json.dumps(order).encode(), *[b"1"] * 400_000]) + b"]"
        detail = r"^\$: must not have more than [0-9,]+ invalid elements$"
        stage.traffic.send(value, [bad(value, "excessive", detail=detail)])
        stage.traffic.send_orders(50)


def _whole_messages(orders: Sequence[Document], depths: Sequence[int]) -> Iterator[Case]:
    """Messages of which all or nothing is taken; each call needs orders of its own."""
    order, other, third, fourth = (json.dumps(each).encode() for each in orders)
    for value in (None, b"", b" ", b"\n\t\r ", BOM, BOM + b" ", b"null", b" null\n", BOM + b"null"):
        yield value, [bad(value, "empty", detail=r"^\$: must not be (a tombstone|empty|null)$")]
    yield BOM + order, [Good(orders[0])]
    yield BOM + b"\n[" + other + b"]", [Good(orders[1])]
    for value in (b"[]", b" [ ]\n", BOM + b"[]"):
        yield value, []
    broken = (
        *(third[:-1], third + b",", third + third, b"[" + third + b",]", b"hello", b"NaN", b"{,}"),
        *(b"[NaN," + third + b"]", b"\0", b"\0" * 6, b"\x1f\x7f", BOM + BOM + third, b"01"),
        *(third[:-1] + b',"unknown":01}', third[:-1] + b',"unknown":"\x01"}', b"[" * depths[-1]),
        *(b"'x'", b'"\\u12"', b'"\\x41"', b"-", b"1.", b'{"a":1]', third.replace(b":", b"=", 1)),
    )
    for value in broken:
        yield value, [bad(value, "undecodable", detail=NOT_JSON)]
    text = third.decode()
    foreign = (
        *(
            text.encode("utf-16"),
            b"\xff",
            third.replace(b'"entry"', b'"\xc3"'),
            b'["\xed\xa0\x80"]',
        ),
        *(third[:-1] + b',"unknown":"\xff"}', b"[" + third + b',{"\xc0\x80":1}]', b"\xfe\xff"),
        *('{"order_uid":"ёж"}'.encode("cp1251"), BOM + b'"\xf0\x9f\x98"'),
    )
    for value in foreign:
        yield value, [bad(value, "undecodable", detail=NOT_UTF8)]
    scalars = {
        b'"x"': "str",
        b"true": "bool",
        b" false": "bool",
        b"1": "number",
        b"1e999": "number",
    }
    for value, name in (scalars | {b'"\\ud800"': "str", b"-0.0\n": "number"}).items():
        detail = rf"^\$: expected object or array, got {name}$"
        yield value, [bad(value, "invalid", detail=detail)]
    yield third[:-1] + b',"unknown":' + _nested(10) + b"}", [Good(orders[2])]
    for levels in depths:
        for value in (
            fourth[:-1] + b',"unknown":' + _nested(levels) + b"}",
            fourth[:-1] + b',"sm_id":' + _nested(levels) + b"}",
            b'{"items":' + _nested(levels) + b"}",
            b'{"a":' * levels + b"1" + b"}" * levels,
        ):
            yield value, [bad(value, "invalid", detail=r"^\$: " + TOO_DEEP)]
        value = _nested(levels)
        yield value, [bad(value[1:-1], "invalid", detail=r"^\$\[0\]: " + TOO_DEEP)]


def _nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


_ELEMENTS: tuple[tuple[bytes, str], ...] = (
    (b"null", ": expected object, got null$"),
    (b"1", ": expected object, got int$"),
    (b"1.50", ": expected object, got float$"),
    (b"true", ": expected object, got bool$"),
    (b'"x"', ": expected object, got str$"),
    (b'"\\ud800"', ": expected object, got str$"),
    (b"[ ]", ": expected object, got array$"),
    (b"{ }", r"\.order_uid: is required; .*date_created: is required$"),
    (_nested(1_000), f": {TOO_DEEP}"),
    (_nested(100_000), f": {TOO_DEEP}"),
)


def _in_orders(order: Document) -> list[tuple[bytes, str]]:
    """Elements that would be this order, but for one thing."""
    text = json.dumps(order).encode()
    deep = text[:-1] + b', "unknown": ' + _nested(100_000) + b"}"
    huge = json.dumps(order | {"sm_id": None}).replace("null", "9" * 5_000).encode()
    return [
        (json.dumps(order | {"entry": "x\ud800"}).encode(), r"\.entry: .* a lone surrogate$"),
        (json.dumps(order | {"locale": "a\0b"}).encode(), r"\.locale: must not hold U\+0000$"),
        (json.dumps(order | {"sm_id": 2**63}).encode(), r"\.sm_id: must fit 64 bits, signed$"),
        (huge, r"\.sm_id: must fit 64 bits, signed$"),
        (deep, f": {TOO_DEEP}"),
    ]


def _written(order: Document) -> tuple[bytes, Expected]:
    raw = json.dumps(order).encode()
    return raw, Good(order, raw)


def _large_array(stage: Stage, size: int) -> Iterator[tuple[bytes, Expected]]:
    """Elements of that many bytes in all, one of ten bad."""
    index = 0
    while size > 0:
        for order in stage.traffic.orders(10):
            raw, expected = _written(order)
            if index % 10 == 5:
                raw = json.dumps(order | {"payment": None}).encode()
                detail = rf"^\$\[{index}\]\.payment: expected object, got null$"
                expected = bad(raw, "invalid", detail=detail)
            yield raw, expected
            index += 1
            size -= len(raw) + 1


def _send_array(stage: Stage, parts: Sequence[tuple[bytes, Expected]], blank: bytes) -> None:
    glue = blank + b"," + blank
    value = b"[" + blank + glue.join(raw for raw, _ in parts) + blank + b"]"
    stage.traffic.send(value, [expected for _, expected in parts])


DRILLS = (poison_messages, poison_elements)
