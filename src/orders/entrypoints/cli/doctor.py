"""The command `orders doctor`."""

import asyncio
import os

import click
import msgspec
from rich.console import Console
from rich.text import Text

from orders.bootstrap import Container, build, open_all
from orders.config import ConfigError, Settings, load, unknown
from orders.domain.ports import Finding, FindingState
from orders.domain.use_cases.inspect_system import InspectSystem, SystemReport, worst
from orders.entrypoints import logs
from orders.entrypoints.http.access import checks
from orders.entrypoints.startup import EXIT_CONFIG, EXIT_FAILED, NEEDED
from orders.usable_memory import usable_memory

_SIGNS: dict[FindingState, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "problem": ("✗", "bold red"),
}
_PART, _LOCAL_CACHE = "configuration", "local cache"
_MIB = 2**20
_MAIN, _WORKER = 50 * _MIB, 100 * _MIB
"""What the main process and a worker of the API take besides its cache (docs/performance.md)."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
def doctor(*, as_json: bool) -> None:
    """Check the servers and topics, and say what is wrong and what to do.

    Checks the configuration, PostgreSQL, Redis, Kafka with its topics and consumer group, and the
    dead letters that have not been replayed. It changes nothing and takes a few seconds, also if
    servers are down or frozen. Exits with 0 if there are at most warnings, with 1 if something is
    wrong, and with 2 if the configuration is, or if no process starts on this database.

    \b
    Examples:
      orders doctor
      orders doctor --json | jq '.findings[] | select(.state == "problem")'
    """
    settings, findings = _configuration()
    if settings is None:
        _show(_report(findings), as_json=as_json)
        raise SystemExit(EXIT_CONFIG)
    # The findings say what adapters would log.
    logs.configure("error", settings.log_format, process="doctor")
    report: SystemReport = asyncio.run(_inspect(build(settings, "doctor")))
    report = _report([*findings, *report.findings])
    _show(report, as_json=as_json)
    if any(finding.is_refused for finding in report.findings):
        raise SystemExit(EXIT_CONFIG)
    raise SystemExit(EXIT_FAILED if report.state == "problem" else 0)


async def _inspect(container: Container) -> SystemReport:
    use_case: InspectSystem = container.inspect_system()
    async with open_all(*container.dead_letter_resources()):
        return await use_case()


def _report(findings: list[Finding]) -> SystemReport:
    return SystemReport(worst(findings), tuple(findings))


def _configuration() -> tuple[Settings | None, list[Finding]]:
    """Return the settings, or None if they are not valid, and findings about them."""
    unrecognized = [
        Finding(_PART, name, "warning", "no such setting, ignored", "check the spelling")
        for name in unknown(os.environ)
    ]
    try:
        settings = load(os.environ, required=NEEDED)
    except ConfigError as error:
        parts = (fault.partition(": ") for fault in error.faults)
        advice = "correct it; `orders config --help` lists all variables"
        faults = [Finding(_PART, name, "problem", text, advice) for name, _, text in parts]
        return None, [*faults, *unrecognized]
    valid = Finding(_PART, "settings", "ok", "all valid")
    return settings, [valid, *checks.findings(settings), _of_local_cache(settings), *unrecognized]


def _of_local_cache(settings: Settings) -> Finding:
    workers, each, memory = settings.http_workers, settings.local_cache_bytes, usable_memory()
    text = (
        f"up to {each / _MIB:,.0f} MiB in each API worker ({workers}); the API may use "
        f"{memory / _MIB:,.0f} MiB, if it runs with the same limits as this command"
    )
    if _MAIN + workers * (_WORKER + each) <= memory:
        return Finding(_PART, _LOCAL_CACHE, "ok", text)
    advice = "raise the limit, lower ORDERS_HTTP_WORKERS, or set ORDERS_CACHE_LOCAL_BYTES"
    return Finding(_PART, _LOCAL_CACHE, "warning", text, advice)


def _show(report: SystemReport, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return
    console = Console()
    what_width = max(len(finding.what) for finding in report.findings)
    for finding in report.findings:
        console.print(_line(finding, what_width), soft_wrap=True, highlight=False)


def _line(finding: Finding, what_width: int) -> Text:
    sign, style = _SIGNS[finding.state]
    line = Text.assemble(
        (f"{sign} {finding.state:<7}", style),
        (f"  {finding.part:<13}", "cyan"),
        f"  {finding.what:<{what_width}}  {finding.text}",
    )
    if finding.advice:
        line.append(f" → {finding.advice}", "bold")
    return line
