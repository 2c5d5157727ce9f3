"""The ports: what the domain needs from outside; one module per port.

The adapters of a port, its in-memory twin and its contract suite have the name of its module:
``adapters/*/order_repository.py``, ``adapters/memory/order_repository.py``,
``tests/contracts/order_repository.py``.
"""

from orders.domain.ports.cache import Cache, CachedDocument, LocalCache
from orders.domain.ports.dead_letter_deletion import DeadLetterDeletion
from orders.domain.ports.dead_letter_reader import DeadLetterReader, Entry, Places
from orders.domain.ports.dead_letters import DeadLetters
from orders.domain.ports.dependency import Dependency
from orders.domain.ports.erasure import Erasure
from orders.domain.ports.inspection import Finding, FindingState, Inspection
from orders.domain.ports.message_source import MessageSource
from orders.domain.ports.order_census import OrderCensus, OrderNumbers
from orders.domain.ports.order_events import OrderEvents
from orders.domain.ports.order_generator import OrderGenerator
from orders.domain.ports.order_repository import OrderReader, OrderRepository, SaveReport
from orders.domain.ports.order_sink import OrderSink
from orders.domain.ports.order_source import OrderSource, SourceEntry, Unreadable
from orders.domain.ports.publisher import Publisher
from orders.domain.ports.replay_journal import ReplayJournal, ReplayNote
from orders.domain.ports.replay_target import ReplayTarget

__all__ = [
    "Cache",
    "CachedDocument",
    "DeadLetterDeletion",
    "DeadLetterReader",
    "DeadLetters",
    "Dependency",
    "Entry",
    "Erasure",
    "Finding",
    "FindingState",
    "Inspection",
    "LocalCache",
    "MessageSource",
    "OrderCensus",
    "OrderEvents",
    "OrderGenerator",
    "OrderNumbers",
    "OrderReader",
    "OrderRepository",
    "OrderSink",
    "OrderSource",
    "Places",
    "Publisher",
    "ReplayJournal",
    "ReplayNote",
    "ReplayTarget",
    "SaveReport",
    "SourceEntry",
    "Unreadable",
]
