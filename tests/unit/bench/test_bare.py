"""The limits of a hot GET send the bytes that they are given, whatever their interface."""

from typing import Any

from bench.bare import Answer, Bare

ANSWER = Answer([(b"etag", b'"1"'), (b"content-length", b"4")], b"body")


async def test_by_asgi() -> None:
    sent = list[dict[str, Any]]()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await Bare(ANSWER)({"type": "http"}, None, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[0]["headers"]) == (200, ANSWER.headers)
    assert (sent[1]["body"], sent[1]["more_body"]) == (b"body", False)


async def test_by_rsgi() -> None:
    sent = list[tuple[Any, ...]]()

    class Protocol:
        def response_bytes(self, *arguments: Any) -> None:
            sent.append(arguments)

    await Bare(ANSWER).__rsgi__(None, Protocol())
    assert sent == [(200, [("etag", '"1"'), ("content-length", "4")], b"body")]
