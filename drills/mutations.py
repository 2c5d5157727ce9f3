"""Valid documents gone wrong, in their structure and in their bytes, for messages of all kinds."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from drills.expectations import Document


class Raw(str):
    """JSON that is written as it stands."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object whose keys may stand in it several times."""


_NUMBERS = (
    *("0", "-0", "-1", "1817", "1817.0", "1.8e3", "1E0", "-0.0", "1e999", "0.1", "1e-7"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808"),
    *("-9223372036854775809", "18446744073709551616", "9" * 400, "-" + "9" * 5000),
)
_BROKEN = ("01", "+1", "1.", ".5", "-", "NaN", "Infinity", "0x1", "1_000", "nul", "True", "'x'")
_TEXTS = (
    *("", " ", "0", "0972", "+972", "null", "1817", "x" * 255, "x" * 256, "😀" * 255, "é" * 256),
    *("\0", "a\0b", "\ud800", "x\udfff", "\udc00\ud800", "\U0001f600", "\ufeff", "\u2028", "\xa0"),
    *(
        "\\u0000",
        "\\",
        '"',
        "{}",
        "a/b",
        "..",
        "\t\n\r",
        "\x7f",
        "\x1f",
        "\u3000\u2003",
        "\N{DEVANAGARI DIGIT ONE}",
    ),
    *("2021-11-26T06:22:19Z", "2021-11-26t06:22:19z", "2021-11-26 06:22:19Z", "2021-11-26"),
    *("2021-11-26T06:22:19", "2021-11-26T06:22:19+03:00", "2021-11-26T06:22:19-23:59"),
    *("2021-11-26T06:22:19.1234565Z", "2021-11-26T06:22:19.12345649999Z", "1637907739"),
    *("2021-11-26T06:22:19+0300", "2021-11-26T06:22:19+0000", "2021-11-26T06:22:19+24:00"),
    *("2021-11-26T06:22:60Z", "2021-02-29T00:00:00Z", "2021-11-26T24:00:00Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.9999995Z"),
    *("9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59.999999Z", "0000-12-31T23:59:59Z"),
)
_NESTED = tuple(Raw("[" * n + "]" * n) for n in (1, 10, 400, 600, 1_000, 5_000))
_NESTED += tuple(Raw('{"a":' * n + "1" + "}" * n) for n in (10, 400, 600, 5_000))
_ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False]),
    st.sampled_from([Raw(number) for number in _NUMBERS]),
    st.sampled_from(_TEXTS),
    st.sampled_from([*_NESTED, Members(), [], [None], [Members()], [Raw("1")], Raw("[ ]")]),
    st.integers().map(lambda number: Raw(str(number))),
    st.text(max_size=12),
)
_SCRAPS = (
    *(b"", b",", b":", b'"', b"{", b"}", b"[", b"]", b"\\", b"\\u", b"\\ud800", b"\\u0000"),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf0\x9f", b"\0", b"\x1f", b"\x7f"),
    *(b" ", b"\n", b"\x0b", b"\xc2\xa0", b"0", b"1", b"-", b".", b"e5", b"null", b"true"),
    *(b"null,", b'"status":"x",', b'"items":[],', b"//", b"/**/"),
)
_MORE = 20
"""Each collection begins with the simplest message, and has some twice."""
_RANDOMS = st.randoms(use_true_random=True)
_BLANKS = (" ", "\n", "\t\r\n ", "")

_Change = Callable[["_Chance", Any], None]


def messages(documents: Sequence[Document], amount: int, number: int) -> list[bytes]:
    """So many different message values made of these documents, each order with its own uid.

    The same ``documents`` and ``number`` make the same messages.
    """
    made: dict[bytes, None] = {}
    uids = (f"{number:x}-{serial}" for serial in count())
    while len(made) < amount:
        drawn = _messages(documents, uids)
        _collect(drawn, amount - len(made) + _MORE, number + len(made), made)
    return list(made)[:amount]


def _collect(
    drawn: st.SearchStrategy[bytes], amount: int, number: int, made: dict[bytes, None]
) -> None:
    @seed(number)
    @settings(
        max_examples=amount,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def collect(value: bytes) -> None:
        made[value] = None

    collect()


class _Chance:
    """What is drawn: the kinds of changes and odd values by hypothesis, which looks for variety.

    Where they go is left to a generator that it seeds: to draw each number takes it far longer.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.rng: Random = draw(_RANDOMS)

    def odd(self) -> Any:
        """A value that a field does not expect."""
        return self._draw(_ODD)

    def change(self) -> _Change:
        """One of ``_CHANGES``."""
        return self._draw(_CHANGES)

    def often(self, *numbers: int) -> int:
        """One of these."""
        return self.rng.choice(numbers)


@st.composite
def _messages(draw: st.DrawFn, documents: Sequence[Document], uids: Iterator[str]) -> bytes:
    """An order or an array of them, written in one of many ways, perhaps damaged."""
    chance = _Chance(draw)
    rng = chance.rng
    orders = [rng.choice(documents) for _ in range(chance.often(1, 1, 1, 2, 4))]
    trees = [_changed(chance, order | {"order_uid": next(uids)}) for order in orders]
    is_array = len(trees) > 1 or rng.random() < 0.2
    ascii_only, blank = rng.random() < 0.5, rng.choice(_BLANKS)
    written = [_written(tree, ascii_only=ascii_only, blank=blank) for tree in trees]
    text = f"[{blank}{f'{blank},'.join(written)}{blank}]" if is_array else written[0]
    value = text.encode(errors="surrogatepass")
    if rng.random() < 0.25:
        return _damaged(rng, value)
    return rng.choice((b"", b"", b"", b"\xef\xbb\xbf", b" ", b"\n")) + value


def _changed(chance: _Chance, document: Document) -> Any:
    rng = chance.rng
    tree = _tree(document)
    for _ in range(chance.often(0, 0, 1, 1, 1, 1, 2, 3)):
        chance.change()(chance, tree)
    return chance.odd() if rng.random() < 0.03 else tree


def _tree(value: Any) -> Any:
    if isinstance(value, dict):
        return Members((name, _tree(inner)) for name, inner in value.items())
    return [_tree(inner) for inner in value] if isinstance(value, list) else value


def _objects(tree: Any) -> Iterator[Members]:
    if isinstance(tree, Members):
        yield tree
    inners = [inner for _, inner in tree] if isinstance(tree, Members) else tree
    for inner in inners if isinstance(tree, list) else ():
        yield from _objects(inner)


def _place(chance: _Chance, tree: Any) -> tuple[Members, int]:
    """A member of an object anywhere in the tree."""
    objects = [found for found in _objects(tree) if found]
    found = chance.rng.choice(objects or [Members([("", None)])])
    return found, chance.rng.randrange(len(found))


def _drop(chance: _Chance, tree: Any) -> None:
    members, at = _place(chance, tree)
    del members[at]


def _retype(chance: _Chance, tree: Any) -> None:
    members, at = _place(chance, tree)
    members[at] = members[at][0], chance.odd()


def _repeat(chance: _Chance, tree: Any) -> None:
    members, at = _place(chance, tree)
    members.insert(chance.rng.randint(0, len(members)), (members[at][0], chance.odd()))


def _rename(chance: _Chance, tree: Any) -> None:
    members, at = _place(chance, tree)
    name, value = members[at]
    others = (name.upper(), f"{name} ", f"\ufeff{name}", "status", "x", "")
    members[at] = chance.rng.choice(others), value


def _add(chance: _Chance, tree: Any) -> None:
    members, at = _place(chance, tree)
    name = chance.rng.choice(("unknown", "status", "\ud800", "a\0b"))
    members.insert(at, (name, chance.odd()))


def _swap(chance: _Chance, tree: Any) -> None:
    here, i = _place(chance, tree)
    there, k = _place(chance, tree)
    one, other = here[i][1], there[k][1]
    if not isinstance(one, list) and not isinstance(other, list):  # else one may hold the other
        here[i], there[k] = (here[i][0], other), (there[k][0], one)


def _replace(chance: _Chance, tree: Any) -> None:
    """An object or an array by another one of the same document."""
    here, i = _place(chance, tree)
    found = list(_objects(tree))
    if found:
        here[i] = here[i][0], copy.deepcopy(chance.rng.choice(found))


def _wrap(chance: _Chance, tree: Any) -> None:
    members, at = _place(chance, tree)
    name, value = members[at]
    members[at] = name, [value] if chance.rng.random() < 0.5 else Members([(name, value)])


def _move(chance: _Chance, tree: Any) -> None:
    members, at = _place(chance, tree)
    members.append(members.pop(at))


def _grow(chance: _Chance, tree: Any) -> None:
    """One more item, odd or equal to another."""
    for members in _objects(tree):
        for _, value in members:
            if isinstance(value, list) and not isinstance(value, Members):
                is_odd = not value or chance.rng.random() < 0.5
                value.insert(0, chance.odd() if is_odd else value[0])
                return


_CHANGES: st.SearchStrategy[_Change] = st.sampled_from(
    [_drop, _retype, _retype, _repeat, _rename, _add, _swap, _replace, _wrap, _move, _grow]
)


def _written(tree: Any, *, ascii_only: bool, blank: str) -> str:
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, list):
        if isinstance(tree, Members):
            parts = [
                json.dumps(name, ensure_ascii=ascii_only)
                + f"{blank}:"
                + _written(value, ascii_only=ascii_only, blank=blank)
                for name, value in tree
            ]
            return "{" + f",{blank}".join(parts) + "}"
        parts = [_written(inner, ascii_only=ascii_only, blank=blank) for inner in tree]
        return "[" + f",{blank}".join(parts) + "]"
    return json.dumps(tree, ensure_ascii=ascii_only)


def _damaged(rng: Random, value: bytes) -> bytes:
    at = rng.randrange(len(value))
    to = rng.randint(at, len(value))
    kind = rng.choice(("flip", "cut", "insert", "delete", "splice", "escape", "odd", "utf-16"))
    match kind:
        case "flip":
            middle, to = bytes([value[at] ^ 1 << rng.randrange(8)]), at + 1
        case "cut":
            middle, to = b"", len(value)
        case "insert":
            middle, to = rng.choice(_SCRAPS), at
        case "delete":
            middle, to = b"", min(to, at + rng.randint(1, 9))
        case "splice":
            return value[:to] + value[at:]
        case "escape":  # a character as its escape: the same text, where it stands in one
            middle, to = b"\\u%04x" % value[at], at + 1
        case "odd":
            odd = rng.choice(_BROKEN).encode()
            return rng.choice((odd, b"[" + odd + b"]", b"", b"\0" * 6))
        case _:
            return value.decode(errors="replace").encode("utf-16")
    return value[:at] + middle + value[to:]
