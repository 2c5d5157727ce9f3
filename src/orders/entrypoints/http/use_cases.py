"""What the API needs of the inside."""

from dataclasses import dataclass

from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.domain.use_cases.list_orders import ListOrders
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.domain.use_cases.publish_orders import PublishDocument, PublishRandom


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that can be asked for over HTTP; whoever builds the app hands it in."""

    look_up: LookUpOrder
    list_orders: ListOrders
    publish_document: PublishDocument
    publish_random: PublishRandom
    readiness: CheckReadiness


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for.

    Attributes:
        random_max: most orders that one /random makes.
        max_body_bytes: largest body that POST /orders reads.
        patience: seconds that a reader of a list may take over one chunk of it.
    """

    random_max: int = 1000
    max_body_bytes: int = 10_000_000
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class Topics:
    """What the topics are called here, and who reads them; the AsyncAPI document tells it.

    Attributes:
        orders: the topic that orders arrive on.
        dead_letters: the topic of dead letters.
        group: the consumers' group.
    """

    orders: str = "orders"
    dead_letters: str = "orders.dlq"
    group: str = "orders-group"
