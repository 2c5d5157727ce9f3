"""Group 7: the consumer is stopped by signals."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from drills.drill import drill
from drills.stage import Stage
from drills.waiting import wait_until
from tests.integration.tcp_proxy import TcpProxy

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@drill(7, "SIGTERM and SIGINT in the middle of work")
def signals_in_the_middle(stage: Stage) -> None:
    """Batches in progress are finished and committed, so that no stored order is redelivered."""
    stops = 20 if stage.long else 4
    stage.consumers.start(static=True)
    stage.wait_for_topics()
    longest = 0.0
    with stage.traffic.flow(stops * 500, seconds=stops * 2.0):
        for number in range(stops):
            how = SIGNALS[number % 2]
            stage.consumers.wait_for_start()
            time.sleep(stage.chance(0.0, 1.5))
            stage.say(f"{how.name}, {number + 1} of {stops}")
            longest = max(longest, stage.consumers.stop(how=how))
            stored, committed = stage.stored(), sum(stage.topics.committed(stage.topic))
            assert stored == committed, f"{stored} orders are stored, {committed} are committed"
            stage.consumers.start(static=True)
    stage.say(f"the longest stop took {longest:.1f} s")


@drill(7, "SIGTERM and SIGINT with a server down")
def signals_with_a_server_down(stage: Stage) -> None:
    """It ends with 0 in time, whatever it waits for, and leaves unfinished work uncommitted."""
    harms = [
        ("PostgreSQL is frozen", _postgres_frozen),
        ("PostgreSQL is stopped", _postgres_stopped),
        ("the broker is frozen", _broker_frozen),
        ("the broker is dead", _broker_dead),
        ("Redis is frozen", _redis_frozen),
        ("all of them hang", _all_frozen),
    ]
    if not stage.long:
        harms = [harms[0], harms[3], harms[5]]
    attempts = [(*harm, how) for harm in harms for how in SIGNALS]
    if not stage.long:  # each harm once, the signals in turn
        attempts = [(*harm, SIGNALS[number % 2]) for number, harm in enumerate(harms)]
    stage.consumers.start(static=True)
    stage.wait_for_topics()
    stage.consumers.stop()
    for what, harm, how in attempts:
        with _behind_a_door(stage) as door:
            stage.consumers.start(static=True)
            stage.traffic.send_orders(10)
            stage.wait_for_lag(60)
            with stage.traffic.flow(2_000, seconds=1.0):
                time.sleep(stage.chance(0.0, 0.5))
                restore = harm(stage, door)
                time.sleep(stage.chance(0.0, 3.0))
                try:
                    took = stage.consumers.stop(how=how)
                finally:
                    restore()
            stage.say(f"{what}: {how.name} took {took:.1f} s")


@drill(7, "a second signal ends at once")
def second_signal(stage: Stage) -> None:
    """Even while it waits for a server that does not answer."""
    stage.consumers.start()
    stage.wait_for_topics()
    stage.consumers.stop()
    attempts = [(harm, how) for harm in (_postgres_frozen, _all_frozen) for how in SIGNALS]
    for harm, how in attempts if stage.long else attempts[:1]:
        with _behind_a_door(stage) as door:
            stage.consumers.start(static=True)
            stage.traffic.send_orders(10)
            stage.wait_for_lag(60)
            with stage.traffic.flow(2_000, seconds=2.0):
                stage.wait_for_stored(stage.stored() + 1, 60)
                door.freeze()  # what arrives from now on is in flight until the end
                wait_until(
                    lambda: not stage.topics.is_up_to_date(stage.topic, 0), 60, "more arrives"
                )
                restore = harm(stage, door)
                try:
                    _signal_twice(stage, how)
                finally:
                    restore()
    stage.consumers.start(static=True)


def _signal_twice(stage: Stage, how: signal.Signals) -> None:
    # No event shows that the batch in progress has reached a server that hangs.
    time.sleep(2.0)
    stage.consumers.send(how)
    wait_until(
        lambda: (
            stage.consumers.log().rfind('"stopping"') > stage.consumers.log().rfind('"started"')
        ),
        5,
        "the first signal is noticed",
    )
    with stage.timed(1.0, "the end after the second signal"):
        stage.consumers.send(how)
        code = stage.consumers.wait("one", 10)
    assert code == 1, f"it ended with {code} after the second {how.name}"


@contextmanager
def _behind_a_door(stage: Stage) -> Iterator[TcpProxy]:
    """Put a proxy that can hang in front of PostgreSQL, for consumers started in the block."""
    parts = conninfo_to_dict(stage.dsn)
    with TcpProxy(str(parts["host"]), int(parts["port"] or 5432)) as door:
        straight = stage.consumers.environment["ORDERS_POSTGRES_DSN"]
        stage.consumers.environment["ORDERS_POSTGRES_DSN"] = make_conninfo(
            stage.dsn, host="127.0.0.1", port=door.port
        )
        try:
            yield door
        finally:
            stage.consumers.environment["ORDERS_POSTGRES_DSN"] = straight


Restore = Callable[[], None]


def _postgres_frozen(stage: Stage, door: TcpProxy) -> Restore:
    door.freeze()
    return door.open


def _postgres_stopped(stage: Stage, door: TcpProxy) -> Restore:
    stage.servers.postgres.stop()
    return stage.servers.postgres.start


def _broker_frozen(stage: Stage, door: TcpProxy) -> Restore:
    stage.servers.broker.freeze()
    return stage.servers.broker.thaw


def _broker_dead(stage: Stage, door: TcpProxy) -> Restore:
    stage.servers.broker.kill()
    return stage.servers.broker.start


def _redis_frozen(stage: Stage, door: TcpProxy) -> Restore:
    stage.servers.redis.freeze()
    return stage.servers.redis.thaw


def _all_frozen(stage: Stage, door: TcpProxy) -> Restore:
    door.freeze()
    stage.servers.redis.freeze()
    stage.servers.broker.freeze()

    def restore() -> None:
        door.open()
        stage.servers.redis.thaw()
        stage.servers.broker.thaw()

    return restore


DRILLS = (signals_in_the_middle, signals_with_a_server_down, second_signal)
