"""Tokens for the mechanism OAUTHBEARER, from a file or from a command."""

import os
import re
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from orders.adapters.kafka.client.failures import Failure, NotConnectedError

COMMAND_TIMEOUT = 5.0
"""Seconds that a command may take; heartbeats wait meanwhile, and members have 10 s for them."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750; any other character could end the field
_FILE_ADVICE = "correct ORDERS_KAFKA_TOKEN_FILE, or have a token written there"
_COMMAND_ADVICE = "run ORDERS_KAFKA_TOKEN_COMMAND by hand: it has to print the token, and only that"


class TokenProvider:
    """The client's ``sasl_oauth_token_provider``: it asks for a token for each connection.

    Each time the token is got anew, so that it may be replaced while the process runs.

    Neither the token nor the command, which may hold secrets, is in an error or a repr.
    """

    def __init__(self, file: str | None, command: str | None) -> None:
        self._file = file
        self._command = command

    def token(self) -> str:
        """The token of now; called by the client in the thread that connects.

        Raises:
            NotConnectedError: there is none, and why.
        """
        if self._command:
            text, advice = _printed_by(shlex.split(self._command)), _COMMAND_ADVICE
        else:
            text, advice = _content_of(Path(self._file or "")), _FILE_ADVICE
        if not _TOKEN.fullmatch(text.strip()):
            raise _no_token("is empty, or is not a token", advice)
        return text.strip()


def _content_of(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")
    except OSError:
        raise _no_token("cannot be read from its file", _FILE_ADVICE) from None


def _printed_by(words: list[str]) -> str:
    try:
        process = subprocess.Popen(  # noqa: S603 (the operator's own command)
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may print secrets
            start_new_session=True,
        )
    except OSError:
        raise _no_token("cannot be had: its command cannot be run", _COMMAND_ADVICE) from None
    with process:
        try:
            printed, _ = process.communicate(timeout=COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what it has started
            text = f"cannot be had: its command takes more than {COMMAND_TIMEOUT:g} s"
            raise _no_token(text, _COMMAND_ADVICE) from None
    if process.returncode:
        text = f"cannot be had: its command ends with {process.returncode}"
        raise _no_token(text, _COMMAND_ADVICE)
    return printed.decode("ascii", "replace")


def _no_token(what: str, advice: str) -> NotConnectedError:
    return NotConnectedError(Failure(f"the token for the login {what}", advice))
