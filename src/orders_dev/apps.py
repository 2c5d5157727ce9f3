"""Makes and checks the processes of the API and the consumer for `orders dev`."""

import logging
import signal
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from orders_dev.orphan_cleanup import StopStep, reclaim
from orders_dev.process import ChildProcess, Launch

#: In the order in which they are started.
NAMES = ("consumer", "api")
#: Sends made-up orders, if asked for.
DEMO = "generate"
#: Longer than the processes themselves take at most to finish their work.
STOP_STEPS = (StopStep(signal.SIGTERM, 25.0),)
_TIMEOUT_SECONDS = 2.0
_OK = 200


def app(
    name: str, environment: Mapping[str, str], logs: Path, records: Path, *options: str
) -> ChildProcess:
    """Make the process `orders NAME OPTIONS`, not started yet, in the current folder."""
    launch = Launch(
        name=f"orders {name}",
        argv=(sys.executable, "-m", "orders", name, *options),
        folder=Path.cwd(),
        log=logs / f"{name}.log",
        environment={**environment, "PYTHONUNBUFFERED": "1"},
        stop_steps=STOP_STEPS,
    )
    return ChildProcess(launch, _record(name, records))


def end_orphans(records: Path) -> None:
    """End the processes that a killed run has left, and no others."""
    for name in (*NAMES, DEMO):
        reclaim(_record(name, records), STOP_STEPS)


def _record(name: str, records: Path) -> Path:
    return records / f"{name}.process.json"


def is_ready(url: str) -> bool:
    """Whether the API at `url` reports ready."""
    # It is this machine, whose address need not be in the API's certificate.
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),  # noqa: S323, SLF001
    )
    try:
        with direct.open(f"{url}/health/ready", timeout=_TIMEOUT_SECONDS) as response:
            return int(response.status) == _OK
    except (OSError, urllib.error.URLError):
        return False


def has_joined(bootstrap: str, group: str) -> bool:
    """Whether a consumer is a member of `group`, on a broker that needs no credentials."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # errors are expected until it is ready
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, request_timeout_ms=int(_TIMEOUT_SECONDS * 1000)
        )
        try:
            (description,) = admin.describe_consumer_groups([group])
            return description.state == "Stable" and bool(description.members)
        finally:
            admin.close()
    except (KafkaError, OSError, ValueError):
        return False
