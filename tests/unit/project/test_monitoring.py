"""Dashboard and alerts are whole; that their metrics exist is for tests/integration/system."""

import json
import re
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.monitoring import ALERTS, DASHBOARD, DEPLOY, Query, metrics_in, queries

OPERATING = (Path(__file__).parents[3] / "docs" / "operating.md").read_text("utf-8")
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


def test_each_alert_has_its_row_in_the_runbook() -> None:
    rows = dict(re.findall(r'^\| <a id="(alert-[a-z-]+)"></a>`(\w+)` \|', OPERATING, re.MULTILINE))
    links = {
        rule["annotations"]["runbook_url"].removeprefix("docs/operating.md#"): rule["alert"]
        for rule in ALERTS
    }
    assert links == rows
    assert len(links) == len(ALERTS)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_is_wrong_and_how_much_it_matters(rule: dict[str, Any]) -> None:
    assert rule["labels"].keys() == {"severity"}
    severity = rule["labels"]["severity"]
    assert severity in {"critical", "warning", "info"}
    assert f"| `{severity}` |" in OPERATING
    assert rule["annotations"].keys() == {"summary", "runbook_url"}


def test_nobody_is_woken_up_by_what_clients_and_senders_send() -> None:
    """Requests with faults are 4xx, and orders with faults are dead letters."""
    for rule in ALERTS:
        if rule["labels"]["severity"] == "critical":
            names = metrics_in(Query(rule["alert"], rule["expr"], frozenset()))
            assert not any(name.startswith("orders_ingested") for name in names)
            of_requests = [name for name in names if name.startswith("orders_http")]
            assert not of_requests or re.findall(r'status="(\d+)"', rule["expr"]) == ["503"]


def test_the_dashboard_holds_what_grafana_knows_and_nothing_else() -> None:
    register_default_plugins()
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(DASHBOARD)))
    assert _common(DASHBOARD, read) == DASHBOARD  # what is not known is lost
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    image = compose["services"]["grafana"]["image"]
    assert version("grafana-foundation-sdk").endswith("!" + image.partition(":")[2])


def _common(ours: Any, read: Any) -> Any:
    """The parts of ``read`` that are in ``ours``; it has defaults besides."""
    if isinstance(ours, dict) and isinstance(read, dict):
        return {key: _common(ours[key], read[key]) for key in ours if key in read}
    if isinstance(ours, list) and isinstance(read, list):
        return [_common(*pair) for pair in zip(ours, read, strict=False)]
    return read


def test_panels_are_in_rows_and_do_not_overlap() -> None:
    assert [p["title"] for p in PANELS if p["type"] == "row"] == [
        "Overview",
        "API",
        "Ingest",
        "Dependencies",
        "Runtime",
    ]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [
        {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        for at in (panel["gridPos"] for panel in PANELS)
    ]
    assert all(max(x for x, _ in place) < 24 for place in places)
    assert not any(one & other for one, other in combinations(places, 2))


def test_every_panel_says_what_it_shows() -> None:
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs)


def test_every_metric_is_asked_for() -> None:
    listed = set(re.findall(r"^\| `(orders_\w+)` \|", OPERATING, re.MULTILINE))
    asked = {
        re.sub("_(bucket|count|sum)$", "", name)
        for query in queries()
        for name in metrics_in(query)
    }
    assert listed <= asked
