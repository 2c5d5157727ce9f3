"""The client's admin client, made to give up."""

import time
from typing import Any

from kafka.admin import KafkaAdminClient

from orders.adapters.kafka.client.settings import KafkaSettings, client_options


class BoundedAdmin(KafkaAdminClient):  # type: ignore[misc]
    """Gives up on a broker that cannot be connected to; its base tries without end.

    Connecting may take half as long as a request.
    """

    def _send_request_to_node(self, node_id: int, request: Any, wakeup: bool = True) -> Any:  # noqa: FBT001, FBT002
        deadline = time.monotonic() + self.config["request_timeout_ms"] / 2_000
        while not self._client.ready(node_id):
            if time.monotonic() > deadline:
                raise self._client.not_connected()
            self._client.poll(timeout_ms=50)
        return self._client.send(node_id, request, wakeup)


def new_admin(settings: KafkaSettings, request_timeout_ms: int) -> BoundedAdmin:
    """An admin client that is connected.

    Raises:
        KafkaError: no broker answers.
    """
    return BoundedAdmin(**client_options(settings), request_timeout_ms=request_timeout_ms)
