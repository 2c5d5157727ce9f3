"""What a connection asks of a broker before anything else."""

import socket
import struct

import pytest
from kafka.errors import KafkaError
from kafka.protocol.admin import ApiVersionRequest, DescribeClientQuotasRequest
from kafka.protocol.metadata import MetadataRequest

from orders.adapters.kafka.client.internals import BoundedAdmin
from orders.adapters.kafka.client.settings import client_options
from tests.integration.kafka.fake_broker import fake_broker, read_frame, write_frame
from tests.integration.kafka.test_hostile_brokers import settings_for


def test_it_waits_for_the_answer_and_for_nothing_else() -> None:
    asked = list[int]()

    def behave(connection: socket.socket) -> None:
        while request := read_frame(connection):
            (key,) = struct.unpack(">h", request[:2])
            asked.append(key)
            if key != ApiVersionRequest[0].API_KEY:
                return
            known = [key, 0, 0, MetadataRequest[0].API_KEY, 0, 1]
            known += [DescribeClientQuotasRequest[0].API_KEY, 0, 0]
            write_frame(connection, request[4:8] + struct.pack(">hi9h", 0, 3, *known))

    with fake_broker(behave) as bootstrap, pytest.raises(KafkaError):
        BoundedAdmin(**client_options(settings_for(bootstrap, login=False)), request_timeout_ms=900)
    assert asked[:2] == [ApiVersionRequest[0].API_KEY] * 2  # of the client, then of the admin
