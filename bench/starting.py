"""From the start of a process to its being ready, beside importing what it imports."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import packages_distributions

from bench.figures import Figure, Limit, Target
from bench.place import Place, check
from bench.product import api, consumer, is_assigned, is_ready, running
from tests.integration.system.processes import free_port

_IMPORTED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s*(\S+)$", re.MULTILINE)


def measure(place: Place) -> list[Figure]:
    """The API and the consumer, with all servers up and the schema there."""
    times: dict[str, list[float]] = {"api": [], "consumer": []}
    limits: dict[str, list[float]] = {"api": [], "consumer": []}
    topic = place.produce(())
    with place.database() as dsn:
        packages = {
            "api": _imported(place, dsn, topic, "api"),
            "consumer": _imported(place, dsn, topic, "consumer"),
        }
        for number in range(place.sizes.starts):
            place.say(f"starts: {number + 1} of {place.sizes.starts}")
            limits["api"].append(_import(packages["api"]))
            times["api"].append(start_api(place, dsn, topic))
            limits["consumer"].append(_import(packages["consumer"]))
            times["consumer"].append(start_consumer(place, dsn, topic))
    bare = "imports"
    return [
        Figure(
            "start",
            "api, to ready",
            "s",
            times["api"],
            Limit(limits["api"], bare),
            target=Target(most=1.5),
            note=f"beside a bare interpreter importing the same {len(packages['api'])} packages",
        ),
        Figure(
            "start",
            "consumer, to joined and assigned",
            "s",
            times["consumer"],
            Limit(limits["consumer"], bare),
            target=Target(most=1.5),
            allowance=1.0,
            note=f"the ratio is that of its time less 1 s; {len(packages['consumer'])} packages",
        ),
    ]


def start_api(place: Place, dsn: str, topic: str) -> float:
    """The seconds until it is ready."""
    environment = place.environment(dsn, topic, ORDERS_HTTP_PORT=str(free_port()))
    with running(place, "api", environment) as made:
        return made.wait_until(lambda: is_ready(made.port), "ready")


def start_consumer(place: Place, dsn: str, topic: str) -> float:
    """The seconds until it is given partitions."""
    with consumer(place, dsn, topic) as made:
        return made.wait_until(lambda: is_assigned(made), "given partitions")


def _imported(place: Place, dsn: str, topic: str, command: str) -> list[str]:
    """The third-party top-level packages that its processes import, by their import log."""
    more = {"PYTHONPROFILEIMPORTTIME": "1"}
    if command == "api":
        with api(place, dsn, topic, **more) as made:
            log = made.log()
    else:
        with consumer(place, dsn, topic, **more) as made:
            made.wait_until(lambda: is_assigned(made), "given partitions")
            log = made.log()
    bare = subprocess.run(
        [sys.executable, "-c", ""],
        env=os.environ | more,
        stderr=subprocess.PIPE,
        check=True,
        text=True,
    ).stderr
    names = dict.fromkeys(name.partition(".")[0] for name in _IMPORTED.findall(log))
    names_of_bare = {name.partition(".")[0] for name in _IMPORTED.findall(bare)}
    theirs = set(packages_distributions()) - {"orders"} - names_of_bare
    found = [name for name in names if name in theirs]
    check("psycopg" in found, f"the imports of {command} could not be found")
    return found


def _import(packages: Sequence[str]) -> float:
    """The seconds from the start of an interpreter until it has imported these."""
    lines = [f"try:\n import {name}\nexcept ImportError: pass" for name in packages]
    began = time.perf_counter()
    done = subprocess.Popen(
        [sys.executable, "-c", "\n".join([*lines, "print(flush=True)"])], stdout=subprocess.PIPE
    )
    with done:
        assert done.stdout is not None
        done.stdout.readline()
        took = time.perf_counter() - began
    check(done.returncode == 0, "the packages cannot be imported")
    return took
