"""Group 1 as well: what is killed while clients listen to events."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import cycle, islice

import httpx
import msgspec
import psycopg

from drills.drill import drill
from drills.stage import SETTLE_SECONDS, Stage
from drills.waiting import wait_until
from tests.integration.system.processes import System, free_port, system

_RETRY_SECONDS = 1.0
"""After which clients connect again, as the stream tells EventSource to; orders come meanwhile."""


def events_in(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Return the fields of each whole event in a stream."""
    event: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        else:
            yield event
            event = {}


class Client:
    """Listens as EventSource does, and goes on with the next API process after a break.

    ``seen``: the orders of its events. ``resumed``: how often it went on by an id.
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.resumed = 0
        self.last_id = ""

    def listen(self, urls: Sequence[str], over: threading.Event) -> None:
        """Listen until ``over``, which is looked at where a stream ends."""
        for url in cycle(urls):
            if over.wait(_RETRY_SECONDS):
                return
            with suppress(httpx.HTTPError):  # it was killed, or is not back yet
                self._listen(url)

    def _listen(self, url: str) -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        with httpx.stream("GET", url, headers=headers, timeout=20) as answer:
            if answer.status_code != httpx.codes.OK:
                return  # it waits for PostgreSQL yet
            self.resumed += bool(headers)
            for event in events_in(answer.iter_lines()):
                self._take(event)

    def _take(self, event: Mapping[str, str]) -> None:
        assert event.get("event") != "reset", "the id of an event is not known"
        if "data" in event:
            self.seen.add(msgspec.json.decode(event["data"])["order_uid"])
        self.last_id = event.get("id", self.last_id)


@drill(1, "consumer, Redis and an API process killed while clients listen to events")
def kills_while_clients_listen(stage: Stage) -> None:
    """Each client resumes by the last id that it has, with any API process, and misses nothing."""
    kills, some = (30, 150) if stage.long else (3, 100)
    stage.consumers.start(static=True)
    stage.wait_for_topics()
    with _listening(stage) as (apis, clients):
        for number, kill in enumerate(islice(cycle((_consumer, _redis, _api)), kills)):
            stage.say(f"kill {number + 1} of {kills}: {kill.__name__[1:]}")
            stage.traffic.send_orders(some)
            time.sleep(stage.chance(0.0, 0.3))
            restart = kill(stage, apis[number % len(apis)])
            stage.traffic.send_orders(some)
            restart()
        stage.wait_for_lag(SETTLE_SECONDS)
        with psycopg.connect(stage.dsn) as connection:
            stored = {uid for (uid,) in connection.execute("SELECT order_uid FROM orders")}
        assert len(stored) == 2 * some * kills, f"{len(stored)} orders are stored"
        for client in clients:
            wait_until(lambda: client.seen == stored, 30, "a client has all events")  # noqa: B023
    resumed = [client.resumed for client in clients]
    stage.say(f"the clients resumed {resumed} times")
    assert any(resumed), "no kill has hit the stream of a client"


def _consumer(stage: Stage, _api: System) -> Callable[[], None]:
    stage.consumers.kill()
    return partial(stage.consumers.start, static=True)


def _redis(stage: Stage, _api: System) -> Callable[[], None]:
    stage.servers.redis.kill()
    return stage.servers.redis.start


def _api(_stage: Stage, api: System) -> Callable[[], None]:
    api.stop("api", signal.SIGKILL)
    return api.start_api


@contextmanager
def _listening(stage: Stage) -> Iterator[tuple[list[System], list[Client]]]:
    """Two API processes, which end with 0, and four clients that listen to them."""
    with ThreadPoolExecutor(4, "client") as pool, ExitStack() as stack:
        over = threading.Event()
        apis = []
        for name in ("first", "second"):
            (folder := stage.folder / name).mkdir()
            environment = stage.consumers.environment | {"ORDERS_HTTP_PORT": str(free_port())}
            apis.append(stack.enter_context(system(environment, folder)))
            apis[-1].start_api()
        stack.callback(over.set)
        urls = [f"http://127.0.0.1:{api.port}/orders/events" for api in apis]
        clients = [Client() for _ in range(4)]
        listening = [
            pool.submit(client.listen, urls[:: 1 if number % 2 else -1], over)
            for number, client in enumerate(clients)
        ]
        wait_until(lambda: all(client.last_id for client in clients), 30, "all clients listen")
        yield apis, clients
        over.set()
        for api in apis:
            code = api.stop("api")
            assert code == 0, f"an API ended with {code}"
        for each in listening:
            each.result()


DRILLS = (kills_while_clients_listen,)
