"""The use cases that the routes call."""

from dataclasses import dataclass

from orders.domain.use_cases.check_readiness import CheckReadiness
from orders.domain.use_cases.forget_orders import ForgetOrders
from orders.domain.use_cases.list_orders import ListOrders
from orders.domain.use_cases.look_up_order import LookUpOrder
from orders.domain.use_cases.publish_orders import PublishDocument, PublishRandom
from orders.domain.use_cases.watch_orders import WatchOrders


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases behind the routes."""

    look_up: LookUpOrder
    list_orders: ListOrders
    publish_document: PublishDocument
    publish_random: PublishRandom
    readiness: CheckReadiness
    forget: ForgetOrders
    watch: WatchOrders
