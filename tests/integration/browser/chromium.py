"""Which browser the tests of the page run in, and what to say where there is none."""

import shutil
from collections.abc import Callable, Mapping

VARIABLE = "ORDERS_TEST_CHROMIUM"
REQUIRED = "ORDERS_TEST_BROWSER"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ADVICE = (
    "install one (Debian: apt-get install chromium), or name one in "
    f"{VARIABLE}; {REQUIRED}=required makes this a failure"
)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever tries to leave this machine fails, and is seen to.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find(
    environment: Mapping[str, str], which: Callable[[str], str | None] = shutil.which
) -> str | None:
    """The path of a Chromium: the one that is named, else one of the system's."""
    names = [named] if (named := environment.get(VARIABLE, "").strip()) else _NAMES
    return next((path for path in map(which, names) if path), None)


def is_required(environment: Mapping[str, str]) -> bool:
    """Whether tests fail without a browser, where they else are skipped."""
    return environment.get(REQUIRED, "").strip() == "required"
