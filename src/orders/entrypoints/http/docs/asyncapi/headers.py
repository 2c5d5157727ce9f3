"""Headers of Kafka messages, as structs for the schemas of the document.

Each value is UTF-8 text, so numbers are strings of digits.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from orders.domain.dead_letters import headers as names
from orders.domain.intake.messages import ErrorCode
from orders.domain.use_cases.ingest_batch import DETAIL_MAX_LENGTH
from orders.entrypoints.http.request_id import HEADER

REQUEST_ID = HEADER.decode()

_Number = Annotated[str, Meta(pattern="^(0|[1-9][0-9]{0,18})$")]
# Any producer may send these two, so their form is not restricted.
_RequestId = Annotated[
    str, Meta(description="Identifies the HTTP request of the order in the logs.")
]
_TraceParent = Annotated[
    str,
    Meta(
        description="The trace of the message, as in W3C Trace Context, where processes are traced."
    ),
]
_ReplayOf = Annotated[
    str,
    Meta(description="The dead letter that was replayed, as topic/partition:offset:index."),
]


class MessageHeaders(Struct, frozen=True):
    """Headers that the service uses; all are optional, and others are passed on."""

    request_id: _RequestId | UnsetType = field(name=REQUEST_ID, default=UNSET)
    traceparent: _TraceParent | UnsetType = UNSET
    attempt: (
        Annotated[
            str,
            Meta(description="How often it had failed before it was replayed."),
        ]
        | UnsetType
    ) = field(name=names.ATTEMPT, default=UNSET)
    replay_of: _ReplayOf | UnsetType = field(name=names.REPLAY_OF, default=UNSET)


class PublishedHeaders(Struct, frozen=True):
    """Headers of messages that the service sends."""

    request_id: Annotated[_RequestId, Meta(pattern="^[!-~]{1,128}$")] = field(name=REQUEST_ID)
    traceparent: _TraceParent | UnsetType = UNSET


class DeadLetterHeaders(Struct, frozen=True):
    """The reason and the source; the message's own headers precede these."""

    code: Annotated[
        ErrorCode,
        Meta(
            description="undecodable: not JSON in UTF-8; invalid: breaks rules; excessive: has "
            "too many invalid elements or values to be judged one by one; conflict: another "
            "order with this order_uid is stored; rejected: the database refuses it; empty: it "
            "has no content."
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
        _Number, Meta(description="Index in its array; 0 if it is the message as a whole.")
    ] = field(name=names.SOURCE_INDEX)
    source_timestamp: Annotated[
        str,
        Meta(
            pattern="^-?[0-9]{1,19}$",
            description="Its timestamp in ms of Unix time. That of the dead letter may be another, "
            "where the topic sets it or refuses the original one.",
        ),
    ] = field(name=names.SOURCE_TIMESTAMP)
    failed_at: Annotated[
        str,
        Meta(
            description="Time of the failure, RFC 3339 in UTC.",
            extra_json_schema={"format": "date-time"},
        ),
    ] = field(name=names.FAILED_AT)
    attempt: Annotated[
        str,
        Meta(
            pattern="^[1-9][0-9]{0,2}$",
            description="Number of attempts: 1, and one more for each replay.",
        ),
    ] = field(name=names.ATTEMPT)
    omitted: (
        Annotated[
            str,
            Meta(
                pattern="^[1-9][0-9]{0,8}$",
                description="Only where the content could not be kept: how many messages this "
                "stands for, from the source offset on.",
            ),
        ]
        | UnsetType
    ) = field(name=names.OMITTED, default=UNSET)
    request_id: _RequestId | UnsetType = field(name=REQUEST_ID, default=UNSET)
    replay_of: _ReplayOf | UnsetType = field(name=names.REPLAY_OF, default=UNSET)
