"""Samples are taken side by side, and nobody is always the first."""

from functools import partial
from pathlib import Path

from bench.place import Place
from bench.reads import in_pairs
from bench.sizes import QUICK


def test_every_second_time_it_goes_backwards(tmp_path: Path) -> None:
    taken = list[str]()

    def take(name: str) -> str:
        taken.append(name)
        return f"{name}{len(taken)}"

    place = Place(tmp_path, QUICK, lambda _text: None)
    found = in_pairs(place, "test", 3, *(partial(take, name) for name in "abc"))
    assert taken == list("abccbaabc")
    assert found == (["a1", "a6", "a7"], ["b2", "b5", "b8"], ["c3", "c4", "c9"])
