"""Describes the machine of the measurement, without anything that identifies its owner."""

import os
import platform
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import redis

_OURS = ("granian", "litestar", "kafka-python-ng", "psycopg", "msgspec")
DURABILITY = ("fsync", "synchronous_commit", "full_page_writes", "wal_level")


def described(postgres_dsn: str, redis_url: str) -> dict[str, Any]:
    """Processor, memory and versions."""
    with psycopg.connect(postgres_dsn) as connection:
        postgres = connection.info.parameter_status("server_version")
    with redis.Redis.from_url(redis_url) as client:
        valkey = dict[str, Any](client.info("server"))
    lock = (files("orders_dev") / "kafka.lock").read_text()
    kafka = re.search(r"kafka-clients:(\S+)", lock)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": postgres,
        "valkey": valkey.get("valkey_version", valkey.get("redis_version")),
        "kafka": kafka[1] if kafka else None,
        **{name: version(name) for name in _OURS},
    }


def assert_durable(postgres_dsn: str) -> dict[str, str]:
    """PostgreSQL's durability settings, which must be those that it comes with.

    Raises:
        AssertionError: one of them is not.
    """
    with psycopg.connect(postgres_dsn) as connection:
        found = connection.execute(
            "SELECT name, setting, boot_val, source FROM pg_settings WHERE name = ANY(%s)",
            [list(DURABILITY)],
        ).fetchall()
    assert len(found) == len(DURABILITY)
    for name, setting, default, source in found:
        assert setting == default, f"{name} is {setting} by {source}, and {default} by default"
    return {name: setting for name, setting, _, _ in found}


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()
