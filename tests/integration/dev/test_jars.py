"""The jar cache against a real (small) Maven repository."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orders_dev.errors import DevError
from orders_dev.jars import Jar, JarCache, Progress

CONTENTS = {"one": b"first jar" * 5000, "two": b"second jar" * 7000}


class Repository:
    """Serves `CONTENTS` as jars of group test.jars, version 1; counts what is asked for."""

    def __init__(self) -> None:
        self.contents = dict(CONTENTS)
        self.asked: list[str] = []
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rsplit("/", 1)[-1]
                artifact, dash, rest = name.partition("-1.jar")
                known = repository.contents.get(artifact) if dash and not rest else None
                if dash and not rest:
                    repository.asked.append(self.path)
                self.send_response(404 if known is None else 200)
                self.send_header("Content-Length", str(len(known or b"")))
                self.end_headers()
                self.wfile.write(known or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/maven"


@pytest.fixture
def repository() -> Iterator[Repository]:
    repository = Repository()
    thread = threading.Thread(target=repository.server.serve_forever)
    thread.start()
    yield repository
    repository.server.shutdown()
    thread.join()
    repository.server.server_close()


def jar(artifact: str) -> Jar:
    content = CONTENTS[artifact]
    return Jar("test.jars", artifact, "1", hashlib.sha256(content).hexdigest(), len(content))


JARS = (jar("one"), jar("two"))


def test_jars_are_downloaded_once(repository: Repository, tmp_path: Path) -> None:
    cache = JarCache(tmp_path / "a cache", {"test": repository.url})
    paths = cache.classpath(JARS)
    assert [path.read_bytes() for path in paths] == [CONTENTS["one"], CONTENTS["two"]]
    assert sorted(repository.asked) == [
        "/maven/test/jars/one/1/one-1.jar",
        "/maven/test/jars/two/1/two-1.jar",
    ]
    repository.asked.clear()
    assert cache.classpath(JARS) == paths
    assert repository.asked == []
    kept = sorted(path.name for path in (tmp_path / "a cache").iterdir())
    assert kept == sorted([*(path.name for path in paths), "lock"])


@pytest.mark.parametrize("damage", [b"", b"first", CONTENTS["one"] + b"x"])
def test_only_a_damaged_jar_is_downloaded_again(
    repository: Repository, tmp_path: Path, damage: bytes
) -> None:
    cache = JarCache(tmp_path, {"test": repository.url})
    first, _ = cache.classpath(JARS)
    first.write_bytes(damage)
    repository.asked.clear()
    cache.classpath(JARS)
    assert first.read_bytes() == CONTENTS["one"]
    assert repository.asked == ["/maven/test/jars/one/1/one-1.jar"]


def test_what_does_not_fit_its_checksum_never_gets_into_the_cache(
    repository: Repository, tmp_path: Path
) -> None:
    repository.contents["two"] = CONTENTS["two"].replace(b"second", b"hacked")
    with pytest.raises(DevError, match="two 1 does not match its checksum"):
        JarCache(tmp_path, {"test": repository.url}).classpath(JARS)
    assert not any(path.name.startswith("two") for path in tmp_path.iterdir())


def test_a_repository_without_the_jar_is_reported(repository: Repository, tmp_path: Path) -> None:
    del repository.contents["two"]
    with pytest.raises(DevError, match="could not be downloaded: two 1") as failure:
        JarCache(tmp_path, {"test": repository.url}).classpath(JARS)
    assert "ORDERS_KAFKA_BOOTSTRAP" in failure.value.advice


def test_an_unreachable_repository_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DevError, match="could not be downloaded"):
        JarCache(tmp_path, {"test": "http://127.0.0.1:1"}).classpath(JARS)


def test_progress_counts_bytes_and_can_abort_the_download(
    repository: Repository, tmp_path: Path
) -> None:
    announced: list[tuple[int, int]] = []
    arrived: list[int] = []
    lock = threading.Lock()
    cancelled = DevError("enough")

    @contextmanager
    def count(jars: int, size: int) -> Iterator[Progress]:
        announced.append((jars, size))

        def advance(size: int) -> None:
            with lock:
                arrived.append(size)

        yield advance

    JarCache(tmp_path / "1", {"test": repository.url}, count).classpath(JARS)
    whole = sum(len(content) for content in CONTENTS.values())
    assert announced == [(2, whole)]
    assert sum(arrived) == whole

    @contextmanager
    def cancel(_jars: int, _size: int) -> Iterator[Progress]:
        def stop(_arrived: int) -> None:
            raise cancelled

        yield stop

    with pytest.raises(DevError, match="enough"):
        JarCache(tmp_path / "2", {"test": repository.url}, cancel).classpath(JARS)
    assert [path.name for path in (tmp_path / "2").iterdir()] == ["lock"]


def test_sessions_that_start_at_once_fetch_once(repository: Repository, tmp_path: Path) -> None:
    threads = [
        threading.Thread(
            target=lambda: JarCache(tmp_path, {"test": repository.url}).classpath(JARS)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(repository.asked) == len(JARS)
