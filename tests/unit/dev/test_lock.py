"""The list of the broker's jars."""

from pathlib import Path

import pytest

from orders_dev.jars import Jar, read_lock


def test_the_shipped_lock_names_a_whole_broker_with_a_voice() -> None:
    jars = read_lock()
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    names = {jar.artifact for jar in jars}
    assert {"kafka_2.13", "kafka-clients", "scala-library", "slf4j-simple"} <= names
    versions = {jar.version for jar in jars if jar.group == "org.apache.kafka"}
    assert versions == {"4.3.1"}
    assert all(jar.size > 0 for jar in jars)


def test_a_line_is_coordinates_checksum_and_size(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"# about\n\norg.x:thing_2.13:1.0-a {'ab' * 32} 12\n", "utf-8")
    (jar,) = read_lock(lock)
    assert jar == Jar("org.x", "thing_2.13", "1.0-a", "ab" * 32, 12)
    assert jar.file_name == f"thing_2.13-1.0-a-{'ab' * 6}.jar"


@pytest.mark.parametrize(
    "line",
    [
        "g:a:1",
        f"g:a {'ab' * 32} 1",
        f"g:a:1:x {'ab' * 32} 1",
        f"g:a:1 {'ab' * 31} 1",
        f"g:a:1 {'zz' * 32} 1",
        f"g:a:1 {'ab' * 32} many",
        f"g:a:1 {'ab' * 32} 1 more",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(line + "\n", "utf-8")
    with pytest.raises(ValueError, match="jar lock"):
        read_lock(lock)
