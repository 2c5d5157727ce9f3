"""What the dashboard and the alerts ask of Prometheus."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "orders.json").read_text("utf-8"))
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))[
        "groups"
    ]
    for rule in group["rules"]
]
TARGET_LABELS = {"job", "instance"}
"""Labels that Prometheus adds to what it scrapes."""
OF_PROMETHEUS = {"up": TARGET_LABELS, "ALERTS": {"alertname", "alertstate", "severity"}}
"""Series that Prometheus makes itself, and their labels."""


class Query(NamedTuple):
    """An expression, and the labels that the text beside it names."""

    title: str
    expression: str
    named: frozenset[str]


class Use(NamedTuple):
    """A label of a metric on which an expression relies, and its value where only one is meant."""

    metric: str
    label: str
    value: str | None = None


def queries() -> list[Query]:
    found = []
    for alert in ALERTS:
        named = re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])
        found.append(Query(alert["alert"], alert["expr"], frozenset(named)))
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            named = re.findall(r"{{(\w+)}}", target["legendFormat"])
            expression = target["expr"].replace("$__rate_interval", "5m")
            found.append(Query(panel["title"], expression, frozenset(named)))
    return found


def metrics_in(query: Query) -> set[str]:
    return {each.name or "" for each in _selectors(promql_parser.parse(query.expression))}


def uses(query: Query) -> Iterator[Use]:
    """Every label by which the query chooses or groups."""
    for node in _nodes(promql_parser.parse(query.expression)):
        if isinstance(node, promql_parser.VectorSelector):
            for matcher in node.matchers.matchers:
                is_one = matcher.op == promql_parser.MatchOp.Equal
                yield Use(node.name or "", matcher.name, matcher.value if is_one else None)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            for selector in _selectors(node):
                for label in node.modifier.labels:
                    yield Use(selector.name or "", label)


def _nodes(expression: promql_parser.Expr) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(expression, found.append)
    return found


def _selectors(expression: promql_parser.Expr) -> list[promql_parser.VectorSelector]:
    return [n for n in _nodes(expression) if isinstance(n, promql_parser.VectorSelector)]
