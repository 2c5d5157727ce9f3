"""All drills, in the order in which they are run."""

from drills import (
    broker,
    brokers,
    duplicates,
    fields,
    fuzz,
    kills,
    lost_topic,
    poison,
    postgres,
    postgres_refusals,
    rebalances,
    redis,
    refused_rows,
    signals,
    sizes,
    transactions,
    unreadable,
)
from drills.drill import Drill

DRILLS: tuple[Drill, ...] = (
    *kills.DRILLS,
    *postgres.DRILLS,
    *postgres_refusals.DRILLS,
    *redis.DRILLS,
    *broker.DRILLS,
    *unreadable.DRILLS,
    *transactions.DRILLS,
    *lost_topic.DRILLS,
    *brokers.DRILLS,
    *rebalances.DRILLS,
    *poison.DRILLS,
    *fields.DRILLS,
    *sizes.DRILLS,
    *duplicates.DRILLS,
    *refused_rows.DRILLS,
    *fuzz.DRILLS,
    *signals.DRILLS,
)
