"""`orders dlq`, on ports in memory."""

import asyncio
import json
import os
import signal
import tracemalloc
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from orders.adapters.memory.dead_letter_deletion import MemoryDeadLetterDeletion
from orders.adapters.memory.dead_letter_reader import MemoryDeadLetterReader
from orders.adapters.memory.dead_letters import MemoryDeadLetters
from orders.adapters.memory.replay_journal import MemoryJournalStore, MemoryReplayJournal
from orders.adapters.memory.replay_target import MemoryReplayTarget
from orders.adapters.memory.topic import MemoryTopic
from orders.bootstrap import Container, build_in_memory
from orders.config import Settings
from orders.domain.errors import Unavailable
from orders.domain.intake.messages import DeadLetter, ErrorCode, Message
from orders.domain.ports import Entry, Places
from orders.domain.use_cases import replay_dead_letters
from orders.entrypoints.cli.dlq.terminal import escaped, safe
from orders.entrypoints.cli.main import main
from tests import builders
from tests.unit.domain.order.reference import REFERENCE

PERSONAL = [str(value) for value in REFERENCE["delivery"].values()]
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u200b[red]x[/red]:smile:\r\n"


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Container:
    monkeypatch.chdir(str(tmp_path))
    return build_in_memory(Settings())


def dlq(container: Container | None, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["dlq", *arguments], obj=container)


def dead_letter(
    offset: int,
    value: bytes | None = b"[1]",
    *,
    code: ErrorCode = "invalid",
    index: int = 0,
    hours: int = 0,
    **fields: Any,
) -> DeadLetter:
    fields = {"detail": "$: expected object, got int"} | fields
    return builders.dead_letter(offset, index, value=value, code=code, hours=hours, **fields)


def kept(container: Container) -> MemoryDeadLetters:
    found: Any = container.dead_letter_topic()
    assert isinstance(found, MemoryDeadLetters)
    return found


def journal(container: Container) -> MemoryJournalStore:
    found: Any = container.replay_journal()
    assert isinstance(found, MemoryReplayJournal)
    return found._store


def put(container: Container, *dead_letters: DeadLetter | None) -> None:
    kept(container).written += dead_letters


def messages(container: Container) -> list[Message]:
    source: Any = container.source()
    return list(source._take())


def bad_document() -> bytes:
    return json.dumps(REFERENCE | {"sm_id": "Test", "note": "Testov"}).encode()


class TestList:
    def test_nothing(self, container: Container) -> None:
        shown = dlq(container, "list")
        assert (shown.exit_code, shown.stdout) == (0, "no dead letters\n")
        assert dlq(container, "list", "--json").stdout == ""

    def test_a_table_that_fits_80_columns(self, container: Container) -> None:
        detail = "$.payment.amount: must not be negative and must fit 64 bits; " * 3
        put(
            container,
            dead_letter(17, detail=detail),
            dead_letter(18, code="empty", hours=1),
            dead_letter(17),
            None,
        )
        shown = dlq(container, "list")
        assert shown.exit_code == 0
        assert max(map(len, shown.stdout.splitlines())) <= 80
        assert "0:17:0" in shown.stdout
        assert "2026-01-01 13:00" in shown.stdout
        assert "2 dead letters: 1 empty, 1 invalid; 2 waiting" in shown.stdout
        assert "not dead letters of ours: 1" in shown.stdout

    def test_dead_letters_of_several_topics_are_told_apart(self, container: Container) -> None:
        put(container, dead_letter(1), dead_letter(1, topic="other"))
        shown = dlq(container, "list").stdout
        assert "orders/0:1:0" in shown
        assert "other/0:1:0" in shown

    def test_json_has_one_dead_letter_a_line(self, container: Container) -> None:
        put(
            container,
            dead_letter(17, detail="ы"),
            dead_letter(18, code="empty", attempt=3, value=None),
        )
        lines = dlq(container, "list", "--json").stdout.splitlines()
        assert [json.loads(line)["state"] for line in lines] == ["waiting", "exhausted"]
        assert json.loads(lines[0]) == {
            "identity": "orders/0:17:0", "topic": "orders", "partition": 0, "offset": 17,
            "index": 0, "code": "invalid", "detail": "ы", "failed_at": "2026-01-01T12:00:00+00:00",
            "attempt": 1, "state": "waiting", "replayed_at": None, "bytes": 3,
            "omitted": 0,
        }  # fmt: skip
        assert lines[0].isascii()

    @pytest.mark.parametrize(
        ("arguments", "offsets"),
        [
            ((), [1, 2, 3]),
            (("--code", "empty", "--code", "conflict"), [2, 3]),
            (("--since", "2026-01-01T13:00"), [2, 3]),
            (("--since", "2026-01-01T16:00+03:00"), [2, 3]),
            (("--until", "2026-01-01T13:00:00Z"), [1]),
            (("--since", "1h"), []),
            (("--state", "exhausted"), [3]),
            (("--max-attempts", "1", "--state", "waiting"), []),
            (("--limit", "1"), [1, 2, 3]),
        ],
    )
    def test_filters(
        self, container: Container, arguments: tuple[str, ...], offsets: list[int]
    ) -> None:
        put(container, dead_letter(1), dead_letter(2, code="empty", hours=1),
            dead_letter(3, code="conflict", hours=2, attempt=3))  # fmt: skip
        lines = dlq(container, "list", "--json", *arguments).stdout.splitlines()
        assert [json.loads(line)["offset"] for line in lines] == offsets

    def test_a_long_table_is_cut_to_the_latest(self, container: Container) -> None:
        put(container, *(dead_letter(n, hours=n) for n in range(5)))
        shown = dlq(container, "list", "--limit", "2").stdout
        assert "0:4:0" in shown
        assert "0:2:0" not in shown
        assert "3 earlier ones are not shown" in shown
        assert "5 dead letters" in shown

    @pytest.mark.parametrize("width", [10, 40, 60, 80, 300])
    def test_on_any_terminal_dead_letters_are_named_and_rows_are_short(
        self, container: Container, monkeypatch: pytest.MonkeyPatch, width: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        long = "$.items[0].name: " + "much is wrong " * 500
        put(
            container,
            dead_letter(12345, code="undecodable", detail=long),
            dead_letter(2, topic="o" * 249, hours=1),
        )
        shown = dlq(container, "list").stdout
        assert "orders/0:12345:0" in shown
        assert "$.items" in shown
        assert "…" in shown
        assert len(shown.splitlines()) < 25
        assert json.loads(dlq(container, "list", "--json").stdout.splitlines()[0])["detail"] == long
        assert long in dlq(container, "show", "0:12345").stdout

    def test_what_others_wrote_is_only_text(self, container: Container) -> None:
        put(container, dead_letter(1, detail=HOSTILE))
        assert_harmless(dlq(container, "list").stdout)

    @pytest.mark.parametrize(
        "arguments", [("--since", "yesterday"), ("--code", "x"), ("--max-attempts", "0"), ("x",),
                      ("--since", "999999d"), ("--limit", "0")]
    )  # fmt: skip
    def test_wrong_usage(self, container: Container, arguments: tuple[str, ...]) -> None:
        assert dlq(container, "list", *arguments).exit_code == 2


def test_a_topic_that_is_missing_is_not_empty(container: Container) -> None:
    class Reader(MemoryDeadLetterReader):
        async def approximate_count(self) -> int | None:
            return None

    container.dead_letter_reader.override(Reader(kept(container)))
    for arguments in (
        ["list"],
        ["show", "0:1"],
        ["replay", "--all", "--dry-run"],
        ["replay", "--all"],
    ):
        ended = dlq(container, *arguments)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert "topic orders.dlq does not exist" in ended.stderr


def assert_harmless(output: str) -> None:
    assert not {c for c in output if safe(c) != c and c != "\n"}, repr(output)


class TestShow:
    def test_all_about_it_but_what_is_personal(self, container: Container) -> None:
        headers = (("x-request-id", b"abc"), ("orders-replay-of", b"orders/0:3:0"))
        put(container, dead_letter(17, bad_document(), headers=headers, attempt=2, key=b"Test"))
        shown = dlq(container, "show", "0:3")
        assert shown.exit_code == 0
        for text in ("Dead letter orders/0:3:0", "$.sm_id: expected int, got str", "<str 4>",
                     "WBILMTESTTRACK", "x-request-id = <3 bytes>", "source     orders/0:17:0",
                     "sha256", "--unmask"):  # fmt: skip
            assert text in shown.stdout, text
        for text in [*PERSONAL, "Testov", "abc"]:
            assert text not in shown.stdout.replace("Vivienne", ""), text

    def test_all_of_it_where_it_was_asked_for(self, container: Container) -> None:
        put(container, dead_letter(17, bad_document(), headers=(("x", b"abc"),)))
        shown = dlq(container, "show", "orders/0:17:0", "--unmask").stdout
        for text in [*PERSONAL, "x = abc"]:
            assert text in shown

    def test_what_is_valid_today(self, container: Container) -> None:
        put(container, dead_letter(17, json.dumps(REFERENCE).encode(), code="conflict"))
        shown = dlq(container, "show", "0:17").stdout
        assert "By the current rules it is valid. Its code says" in shown

    @pytest.mark.parametrize(
        "value",
        [
            b'{"name": "Test Testov',
            b"Test Testov",
            b"\xffTest Testov",
            b'{"a":' * 100_000 + b'"Test Testov"' + b"}" * 100_000,
        ],
    )
    def test_what_cannot_be_masked_is_not_shown(self, container: Container, value: bytes) -> None:
        put(container, dead_letter(17, value, code="undecodable"))
        shown = dlq(container, "show", "0:17")
        assert shown.exit_code == 0
        assert "cannot be masked" in shown.stdout
        assert f"{len(value)} bytes" in shown.stdout
        assert "Testov" not in shown.stdout
        assert "Testov" not in dlq(container, "show", "0:17", "--json").stdout
        assert "Testov" in dlq(container, "show", "0:17", "--unmask").stdout

    @pytest.mark.parametrize("options", [(), ("--unmask",), ("--json",), ("--json", "--unmask")])
    @pytest.mark.parametrize(
        "unknown",
        [b"[" + b"1," * 1_000_000 + b"1]", b'"%s"' % (b"\x7f" * 2_000_000 + "😀".encode())],
    )
    def test_large_ones_take_a_few_times_their_size(
        self,
        container: Container,
        monkeypatch: pytest.MonkeyPatch,
        options: tuple[str, ...],
        unknown: bytes,
    ) -> None:
        value = json.dumps(REFERENCE).encode()[:-1] + b',"x":' + unknown + b"}"
        put(container, dead_letter(17, value, code="conflict", key=unknown))
        written = 0

        def echo(text: str, *, nl: bool = True) -> None:
            nonlocal written
            written += len(text)

        monkeypatch.setattr("click.echo", echo)
        tracemalloc.start()
        try:
            assert dlq(container, "show", "0:17", *options).exit_code == 0
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert written > 100
        assert peak < 12 * len(value)

    @pytest.mark.parametrize(("value", "text"), [(None, "a tombstone"), (b"", "Payload: 0 bytes"),
                                                 (b"[]", "it contains no order")])  # fmt: skip
    def test_what_is_empty(self, container: Container, value: bytes | None, text: str) -> None:
        put(container, dead_letter(17, value, code="empty", key=None))
        assert text in dlq(container, "show", "0:17").stdout

    def test_raw_is_every_byte_and_nothing_else(self, container: Container) -> None:
        put(container, dead_letter(17, b"\xff\x00\x1b[2J\r\n"))
        assert dlq(container, "show", "0:17", "--raw").stdout_bytes == b"\xff\x00\x1b[2J\r\n"

    def test_where_content_is_that_was_not_kept(self, container: Container) -> None:
        put(container, dead_letter(17, None, code="undecodable", key=None, omitted=3))
        shown = dlq(container, "show", "0:17")
        assert shown.exit_code == 0
        assert "It cannot be judged or replayed without its content" in shown.stdout
        assert "on topic orders, partition 0 at offset 17 to 19, until" in shown.stdout
        assert json.loads(dlq(container, "show", "0:17", "--json").stdout)["omitted"] == 3
        raw = dlq(container, "show", "0:17", "--raw")
        assert (raw.exit_code, raw.stdout) == (1, "")
        assert "its content was not kept" in raw.stderr

    def test_json(self, container: Container) -> None:
        put(container, dead_letter(17, bad_document(), headers=(("x", b"Testov"),), key=b"Testov"))
        shown = dlq(container, "show", "0:17", "--json").stdout
        for text in [*PERSONAL, "Testov"]:
            assert text not in shown
        found = json.loads(shown)
        assert found["sent_at"] == "2020-09-13T12:26:40+00:00"
        assert found["headers"] == [{"name": "<name 1>", "bytes": 6, "value": None}]
        assert found["payload"]["sm_id"] == "<str 4>"
        assert found["faults"] == [{"path": "$.sm_id", "rule": "expected int, got str"}]
        assert found["valid_now"] is False
        found = json.loads(dlq(container, "show", "0:17", "--json", "--unmask").stdout)
        assert found["key"] == found["headers"][0]["value"] == "VGVzdG92"
        assert found["payload"] is None

    @pytest.mark.parametrize("options", [(), ("--unmask",), ("--json",), ("--json", "--unmask")])
    def test_what_others_wrote_is_only_text(
        self, container: Container, options: tuple[str, ...]
    ) -> None:
        document = json.dumps({"order_uid": HOSTILE, HOSTILE: HOSTILE}, ensure_ascii=False)
        headers = ((HOSTILE, HOSTILE.encode()),)
        written = [
            document.encode(),
            document.encode() + b"\xff",
            b'{"order_uid":"\\ud800"}',
            HOSTILE.encode(),
        ]
        common: dict[str, Any] = {"headers": headers, "detail": HOSTILE, "key": HOSTILE.encode()}
        put(container, *(dead_letter(n, value, **common) for n, value in enumerate(written)))
        for number in range(len(written)):
            shown = dlq(container, "show", f"0:{number}", *options)
            assert shown.exit_code == 0
            assert_harmless(shown.stdout.replace("\t", ""))

    def test_not_there_and_not_the_only_one(self, container: Container) -> None:
        put(container, dead_letter(17), dead_letter(17, index=1))
        missing = dlq(container, "show", "0:18")
        assert missing.exit_code == 1
        assert "there is no such dead letter" in missing.stderr
        several = dlq(container, "show", "0:17")
        assert several.exit_code == 2
        assert "orders/0:17:0, orders/0:17:1" in several.stderr
        assert dlq(container, "show", "0:17:1").exit_code == 0

    @pytest.mark.parametrize("arguments", [(), ("17",), ("0:1", "--raw", "--json"), ("a:b",)])
    def test_wrong_usage(self, container: Container, arguments: tuple[str, ...]) -> None:
        assert dlq(container, "show", *arguments).exit_code == 2


class TestReplay:
    def test_nothing(self, container: Container) -> None:
        shown = dlq(container, "replay", "--all")
        assert (shown.exit_code, shown.stdout) == (0, "nothing to replay\n")

    def test_one_that_is_not_there_is_told(self, container: Container) -> None:
        put(container, dead_letter(1))
        shown = dlq(container, "replay", "--offset", "0:999", "--offset", "0:1")
        assert shown.exit_code == 1
        assert shown.stdout.splitlines()[0] == "sent 1 dead letter to topic orders"
        assert shown.stderr == "Error: there is no such dead letter: 0:999\n"

    def test_all_that_waits_and_not_twice(self, container: Container) -> None:
        put(
            container,
            dead_letter(1),
            dead_letter(2, code="conflict"),
            dead_letter(2, code="conflict"),
            None,
        )
        shown = dlq(container, "replay", "--all")
        assert shown.exit_code == 0
        assert shown.stdout.splitlines() == [
            "sent 2 dead letters to topic orders", "  conflict     1", "  invalid      1",
            "records on the topic that are not dead letters of ours: 1",
        ]  # fmt: skip
        assert "2 dead letters replayed before" in dlq(container, "replay", "--all").stdout
        assert len(messages(container)) == 2
        assert "2 replayed" in dlq(container, "list").stdout
        assert (
            "sent 1 dead letter "
            in dlq(container, "replay", "--again", "--code", "conflict").stdout
        )

    @pytest.mark.parametrize("options", [(), ("--dry-run",), ("--again", "--max-attempts", "9")])
    def test_without_a_choice_nothing_is_sent(
        self, container: Container, options: tuple[str, ...]
    ) -> None:
        put(container, dead_letter(1))
        ended = dlq(container, "replay", *options)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "nothing is sent without a choice: --all" in ended.stderr
        assert messages(container) == []

    @pytest.mark.parametrize("code", ["undecodable", "empty"])
    def test_what_fails_as_it_is_is_sent_only_where_it_is_named(
        self, container: Container, code: ErrorCode
    ) -> None:
        put(container, dead_letter(1, code=code))
        said = dlq(container, "replay", "--all").stdout
        assert (
            f"1 dead letter with code {code} would fail again, skipped (use --code {code})" in said
        )
        assert messages(container) == []
        assert "sent 1 dead letter" in dlq(container, "replay", "--code", code).stdout
        assert "sent 1 " in dlq(container, "replay", "--offset", "0:1", "--again").stdout

    def test_a_dry_run(self, container: Container) -> None:
        put(container, dead_letter(1), dead_letter(2))
        shown = dlq(container, "replay", "--dry-run", "--offset", "0:2").stdout
        assert shown.startswith("would send 1 dead letter to topic orders\n")
        assert "deleted" not in shown
        assert messages(container) == []

    def test_what_is_left_alone_is_named(self, container: Container) -> None:
        put(
            container,
            *(dead_letter(n, attempt=3) for n in range(8)),
            dead_letter(9, topic="elsewhere"),
            dead_letter(10, None, omitted=2),
        )
        shown = dlq(container, "replay", "--all").stdout
        assert "8 dead letters failed 3 times or more" in shown
        assert "  orders/0:4:0\n  and 3 more" in shown
        assert "orders/0:5:0" not in shown
        assert "1 dead letter not sent, their content was not kept" in shown
        assert "1 dead letter not sent, they are not from topic orders\n  elsewhere/0:9:0" in shown
        assert (
            "sent 8 dead letters" in dlq(container, "replay", "--all", "--max-attempts", "4").stdout
        )

    def test_kafka_is_away(self, container: Container) -> None:
        put(container, dead_letter(1))
        kept(container).available = False
        for arguments in (
            ["list"],
            ["show", "0:1"],
            ["replay", "--all"],
            ["replay", "--all", "--dry-run"],
        ):
            ended = dlq(container, *arguments)
            assert ended.exit_code == 1
            assert "unreachable" in ended.stderr
        assert "run the same command again" in dlq(container, "replay", "--all").stderr

    @pytest.mark.parametrize("arguments", [("--offset", "x"), ("--code", "x"), ("x",)])
    def test_wrong_usage(self, container: Container, arguments: tuple[str, ...]) -> None:
        assert dlq(container, "replay", *arguments).exit_code == 2


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_help_has_examples(command: str) -> None:
    shown = dlq(None, command, "--help")
    assert shown.exit_code == 0
    assert f"orders dlq {command}" in shown.stdout.partition("Example")[2]


def test_kafka_alone_must_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.delenv("ORDERS_KAFKA_BOOTSTRAP", raising=False)
    ended = dlq(None, "list")
    assert ended.exit_code == 2
    assert "ORDERS_KAFKA_BOOTSTRAP: is required" in ended.stderr
    assert "POSTGRES" not in ended.stderr


@given(st.text())
def test_safe_text_is_safe_and_plain_text_stays(text: str) -> None:
    made = safe(text)
    assert made.isprintable()
    assert safe(made) == made
    if text.isprintable():
        assert made == text


def test_safe_text() -> None:
    assert safe("Привет, 😀 [b]") == "Привет, 😀 [b]"
    assert safe("\x1b\x9b\u202e\ud800\U000e0001\n") == (
        "\\u001b\\u009b\\u202e\\ud800\\udb40\\udc01\\u000a"
    )
    assert "".join(escaped("a\n\tb\r", keep_lines=True)) == "a\n\tb\\u000d"


def test_asyncio_is_left_as_it_was(container: Container) -> None:
    dlq(container, "replay", "--all")
    asyncio.run(asyncio.sleep(0))


class Signalled(MemoryReplayTarget):
    """Asks for the end, while the loop's own way to hear of signals is full."""

    async def send(self, dead_letters: Sequence[DeadLetter]) -> Collection[DeadLetter]:
        for _ in range(5_000):
            asyncio.get_running_loop().call_soon_threadsafe(int)
        os.kill(os.getpid(), signal.SIGTERM)
        return await super().send(dead_letters)


class TestStopping:
    @pytest.fixture
    def container(self, container: Container, monkeypatch: pytest.MonkeyPatch) -> Container:
        monkeypatch.setattr(replay_dead_letters, "CHUNK_RECORDS", 2)
        put(container, *(dead_letter(n) for n in range(6)))
        return container

    def test_a_signal_while_the_loop_is_busy_is_not_lost(self, container: Container) -> None:
        before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        container.replay_target.override(Signalled(MemoryTopic("orders")))
        ended = dlq(container, "replay", "--all")
        assert ended.exit_code == 1
        assert "sent 2 dead letters" in ended.stdout
        assert "stopped, 4 dead letters are left; nothing is lost" in ended.stderr
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_before_the_first_chunk(self, container: Container, number: int) -> None:
        class Reader(MemoryDeadLetterReader):
            async def read(self, places: Places | None = None) -> AsyncIterator[Entry]:
                async for entry in super().read(places):
                    yield entry
                os.kill(os.getpid(), number)

        container.dead_letter_reader.override(Reader(kept(container)))
        ended = dlq(container, "replay", "--all")
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert "stopped before anything was sent, 6 dead letters are left;" in ended.stderr


class TestForgotten:
    """Dead letters of orders that were forgotten."""

    @pytest.fixture
    def container(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Container:
        monkeypatch.chdir(tmp_path)
        made = build_in_memory(Settings(audit_log=str(tmp_path / "audit.log")))
        put(
            made,
            dead_letter(1, b'{"order_uid": "gone"}'),
            dead_letter(2, b'{"order_uid": "kept"}', hours=1),
        )
        asyncio.run(made.erasure().forget(["gone"]))
        return made

    def test_they_are_neither_listed_nor_shown_nor_sent(self, container: Container) -> None:
        assert "1 dead letter:" in dlq(container, "list").stdout
        shown = dlq(container, "show", "0:1")
        assert (shown.exit_code, "no such dead letter" in shown.stderr) == (1, True)
        assert dlq(container, "replay", "--all").stdout.startswith("sent 1 dead letter to")
        assert [message.value for message in messages(container)] == [b'{"order_uid": "kept"}']
        assert dlq(container, "replay", "--offset", "0:1").exit_code == 1

    def test_they_are_deleted_like_those_that_were_replayed(self, container: Container) -> None:
        options = ("delete", "--before", "2030-01-01")
        planned = dlq(container, *options, "--dry-run").stdout
        assert planned.startswith("would delete 1 record\n  partition 0: up to offset 0\n")
        assert "wait for a replay: orders/0:2:0" in planned
        assert dlq(container, *options).stdout.startswith("deleted 1 record")
        assert dlq(container, *options, "--include-waiting").stdout.startswith("deleted 1 record")
        assert dlq(container, "list").stdout == "no dead letters\n"

    def test_what_is_done_is_in_the_audit_log(self, container: Container, tmp_path: Path) -> None:
        dlq(container, "list")
        dlq(container, "show", "0:2")
        dlq(container, "show", "0:2", "--unmask")
        dlq(container, "replay", "--all", "--dry-run")
        dlq(container, "replay", "--all")
        dlq(container, "delete", "--before", "2030-01-01")
        lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
        assert [(line["event"], line["orders"]) for line in lines] == [
            ("showed", ["kept"]),
            ("showed", ["kept"]),
            ("replayed", ["kept"]),
            ("deleted dead letters", []),
        ]
        assert [line.get("is_masked") for line in lines[:2]] == [True, False]
        assert lines[2]["dead_letters"] == ["orders/0:2:0"]
        assert lines[3]["records"] == 2
        assert all(line["who"].startswith("os:") for line in lines)

    def test_text_that_is_no_order_uid_is_not_in_the_audit_log(
        self, container: Container, tmp_path: Path
    ) -> None:
        put(container, dead_letter(3, json.dumps({"order_uid": "Ivan Ivanov, " * 30}).encode()))
        assert dlq(container, "show", "0:3").exit_code == 0
        (line,) = map(json.loads, (tmp_path / "audit.log").read_text().splitlines())
        assert (line["event"], line["orders"]) == ("showed", [])

    def test_a_deletion_that_fails_is_in_the_audit_log(
        self, container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(_: object, ends: Mapping[int, int]) -> None:
            raise Unavailable("no answer")

        monkeypatch.setattr(MemoryDeadLetterDeletion, "delete", fail)
        ended = dlq(container, "delete", "--before", "2030-01-01")
        assert (ended.exit_code, ended.stderr) == (1, "Error: no answer\n")
        (line,) = map(json.loads, (tmp_path / "audit.log").read_text().splitlines())
        assert line["event"] == "deleted dead letters"
        assert (line["outcome"], line["up_to"]) == ("unavailable", {"0": 1})
