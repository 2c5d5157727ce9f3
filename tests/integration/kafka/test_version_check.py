"""What a connection asks of a broker before anything else."""

import socket
import struct

import pytest
from kafka.protocol.admin import ApiVersionRequest, DescribeClientQuotasRequest
from kafka.protocol.metadata import MetadataRequest

from orders.adapters.kafka.client.failures import NO_CONTROLLER, NotConnectedError
from orders.adapters.kafka.client.internals import BoundedAdmin
from orders.adapters.kafka.client.settings import client_options
from tests.integration.kafka.fake_broker import fake_broker, read_frame, write_frame
from tests.integration.kafka.test_hostile_brokers import settings_for

VERSIONS, METADATA = ApiVersionRequest[0].API_KEY, MetadataRequest[0].API_KEY


@pytest.mark.parametrize("controller", [-1, 1])
def test_a_cluster_whose_controller_is_not_there_yet(controller: int) -> None:
    asked = list[int]()

    def behave(connection: socket.socket) -> None:
        while request := read_frame(connection):
            (key,) = struct.unpack(">h", request[:2])
            asked.append(key)
            if key == VERSIONS:
                known = [VERSIONS, 0, 0, METADATA, 0, 1]
                known += [DescribeClientQuotasRequest[0].API_KEY, 0, 0]
                answer = struct.pack(">hi9h", 0, 3, *known)
            else:
                answer = struct.pack(">iii", 0, controller, 0)  # no brokers and no topics
            write_frame(connection, request[4:8] + answer)

    with fake_broker(behave) as bootstrap, pytest.raises(NotConnectedError) as raised:
        BoundedAdmin(**client_options(settings_for(bootstrap, login=False)))
    assert raised.value.failure == NO_CONTROLLER
    # Of the client, then of the admin: they wait for the answer and for nothing else.
    assert asked[:3] == [VERSIONS, VERSIONS, METADATA]
