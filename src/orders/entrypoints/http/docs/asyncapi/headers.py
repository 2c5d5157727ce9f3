"""The headers of Kafka messages, as structs that the document's schemas are made from.

On the wire each value is text in UTF-8, so numbers are texts of digits here.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from orders.domain.dead_letters import headers as names
from orders.domain.intake.messages import ErrorCode
from orders.domain.use_cases.ingest_batch import DETAIL_MAX_LENGTH
from orders.entrypoints.http.request_id import HEADER

REQUEST_ID = HEADER.decode()

_Number = Annotated[str, Meta(pattern="^(0|[1-9][0-9]{0,18})$")]
# These two may come from any producer, so nothing can be said of their form.
_RequestId = Annotated[
    str, Meta(description="Of the HTTP request that it came with: it leads to it in the logs.")
]
_ReplayOf = Annotated[
    str,
    Meta(
        description="The dead letter that it was sent again for, as topic/partition:offset:index."
    ),
]


class MessageHeaders(Struct, frozen=True):
    """Headers that mean something to the service; a producer needs none, others are kept."""

    request_id: _RequestId | UnsetType = field(name=REQUEST_ID, default=UNSET)
    attempt: (
        Annotated[
            str,
            Meta(description="How often it had failed before it was sent again by a replay."),
        ]
        | UnsetType
    ) = field(name=names.ATTEMPT, default=UNSET)
    replay_of: _ReplayOf | UnsetType = field(name=names.REPLAY_OF, default=UNSET)


class PublishedHeaders(Struct, frozen=True):
    """Headers of a message that the service itself sends."""

    request_id: Annotated[_RequestId, Meta(pattern="^[!-~]{1,128}$")] = field(name=REQUEST_ID)


class LetterHeaders(Struct, frozen=True):
    """Why and whence; the message's own headers stand before them."""

    code: Annotated[
        ErrorCode,
        Meta(
            description="undecodable: not JSON in UTF-8; invalid: breaks rules; conflict: another "
            "order with this order_uid is stored; rejected: the database refuses it; empty: there "
            "is nothing in it."
        ),
    ] = field(name=names.CODE)
    detail: Annotated[
        str,
        Meta(
            max_length=DETAIL_MAX_LENGTH,
            description="What is wrong and where, by JSON path; no values.",
        ),
    ] = field(name=names.DETAIL)
    source_topic: Annotated[
        str, Meta(pattern="^[a-zA-Z0-9._-]+$", description="The topic of the message.")
    ] = field(name=names.SOURCE_TOPIC)
    source_partition: Annotated[_Number, Meta(description="Its partition.")] = field(
        name=names.SOURCE_PARTITION
    )
    source_offset: Annotated[_Number, Meta(description="Its offset.")] = field(
        name=names.SOURCE_OFFSET
    )
    source_index: Annotated[
        _Number, Meta(description="Which element of its array, 0 where it is no array.")
    ] = field(name=names.SOURCE_INDEX)
    failed_at: Annotated[
        str,
        Meta(description="When, RFC 3339 in UTC.", extra_json_schema={"format": "date-time"}),
    ] = field(name=names.FAILED_AT)
    attempt: Annotated[
        str,
        Meta(
            pattern="^[1-9][0-9]{0,2}$",
            description="1, and more where it had been a dead letter and was sent again.",
        ),
    ] = field(name=names.ATTEMPT)
    request_id: _RequestId | UnsetType = field(name=REQUEST_ID, default=UNSET)
    replay_of: _ReplayOf | UnsetType = field(name=names.REPLAY_OF, default=UNSET)
