"""Downloads the broker's jars, as listed in a lock file, and verifies them at every start."""

import fcntl
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orders_dev.errors import DevError, of_system

LOCK = Path(__file__).with_name("kafka.lock")
_FETCHERS = 8
_TIMEOUT_SECONDS = 60

#: Called from several threads with the number of bytes that have arrived since the last call.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """A line of the lock file: Maven coordinates, checksum (SHA-256, hex) and size in bytes."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """The name in the cache; it contains the checksum, so other contents get another name."""
        return f"{self.artifact}-{self.version}-{self.sha256[:12]}.jar"


def read_lock(path: Path = LOCK) -> tuple[Jar, ...]:
    """Read a lock file.

    Raises:
        ValueError: a line is not `group:artifact:version sha256 size`.
    """
    lines = path.read_text("utf-8").splitlines()
    return tuple(_parse(line) for line in lines if line.strip() and not line.startswith("#"))


def _parse(line: str) -> Jar:
    try:
        coordinates, sha256, size = line.split()
        group, artifact, version = coordinates.split(":")
        length, bytes_to_come = len(bytes.fromhex(sha256)), int(size)
    except ValueError as error:
        raise ValueError(f"not a line of a jar lock: {line!r}") from error
    if length != hashlib.sha256().digest_size:
        raise ValueError(f"not a SHA-256 in a line of a jar lock: {line!r}")
    return Jar(group, artifact, version, sha256, bytes_to_come)


def user_cache() -> Path:
    """The folder for the jars in this user's cache."""
    if sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "orders" / "jars"


@dataclass(frozen=True)
class JarCache:
    """A folder of jars, shared by all data folders and sessions of one user.

    Attributes:
        folder: the folder; created if missing.
        repositories: Maven repositories by name; None takes those of jgo's own settings
            (its configuration file) and Maven Central.
        progress: a context around the download, called with the number of jars and of bytes.
    """

    folder: Path
    repositories: Mapping[str, str] | None = None
    progress: Callable[[int, int], AbstractContextManager[Progress]] | None = None

    def classpath(self, jars: Sequence[Jar]) -> list[Path]:
        """Return the paths of `jars`, downloading those that are missing or corrupt.

        If all are in the cache, the network is not used.

        Raises:
            DevError: a jar cannot be downloaded, or does not match its checksum.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._missing(jars):
            # One session downloads them, the others wait for it.
            with (self.folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._fetch(self._missing(jars))
        return [self.folder / jar.file_name for jar in jars]

    def _missing(self, jars: Sequence[Jar]) -> list[Jar]:
        return [jar for jar in jars if _checksum(self.folder / jar.file_name) != jar.sha256]

    def _fetch(self, jars: Sequence[Jar]) -> None:
        if not jars:
            return
        with (
            tempfile.TemporaryDirectory(prefix="fetch-", dir=self.folder) as arriving,
            (self.progress or _silent)(len(jars), sum(jar.size for jar in jars)) as progress,
            ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch") as pool,
        ):
            download = _Downloader(Path(arriving), self.repositories, progress)
            try:
                for jar, path in zip(jars, pool.map(download, jars), strict=True):
                    path.replace(self.folder / jar.file_name)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


class _Downloader:
    def __init__(
        self, folder: Path, repositories: Mapping[str, str] | None, progress: Progress
    ) -> None:
        # Imported here: it is slow, and needed only for a download.
        from jgo.config import GlobalSettings  # noqa: PLC0415
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

        @contextmanager
        def on_file(_name: str, _size: int) -> Iterator[Progress]:
            yield progress

        known = None if repositories is None else dict(repositories)
        if known is None and (configured := GlobalSettings.load().repositories):
            known = dict(configured)
        self._context = MavenContext(
            resolver=PythonResolver(progress_callback=on_file),
            repo_cache=folder,
            remote_repos=known,
            timeout=_TIMEOUT_SECONDS,
        )

    def __call__(self, jar: Jar) -> Path:
        import requests  # noqa: PLC0415

        what = f"{jar.artifact} {jar.version}"
        project = self._context.project(jar.group, jar.artifact)
        try:
            path = project.at_version(jar.version).artifact().resolve()
        except (OSError, RuntimeError, requests.RequestException) as error:
            if isinstance(error, OSError) and error.filename:  # a folder, not the network
                raise of_system(error) from error
            raise DevError(
                f"A part of Apache Kafka could not be downloaded: {what}.",
                "It comes once from a Maven repository: check the connection (and proxy), or "
                "set ORDERS_KAFKA_BOOTSTRAP to a broker of your own.",
            ) from error
        if _checksum(path) != jar.sha256:
            raise DevError(
                f"The download of {what} does not match its checksum.",
                "Something between here and the Maven repository changes files; it is not used.",
            )
        return path


def _checksum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def _silent(_jars: int, _size: int) -> Iterator[Progress]:
    yield lambda _count: None
