"""What children write is shown line by line."""

from pathlib import Path

from orders_dev.log_follower import LogFollower


def test_new_lines_of_all_files_are_shown_whole_and_once(tmp_path: Path) -> None:
    api, consumer = tmp_path / "api.log", tmp_path / "consumer.log"
    api.write_text("of an earlier run\n", "utf-8")
    shown: list[tuple[str, str]] = []
    follower = LogFollower(
        {"api": api, "consumer": consumer}, lambda name, line: shown.append((name, line))
    )
    with api.open("ab") as log:
        log.write("наш ".encode()[:3])
    follower.start()
    with api.open("ab") as log:
        log.write("наш ".encode()[3:] + b"line\nunfinished")
    consumer.write_bytes(b"\xff broken\n")
    follower.stop()
    assert sorted(shown) == [("api", "наш line"), ("consumer", "� broken")]
