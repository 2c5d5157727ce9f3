"""The manifests are valid, name each other rightly, and fit the code, without a cluster."""

import copy
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import yaml

from orders.config import Settings, load, variables
from orders.entrypoints.cli.main import main
from orders.entrypoints.http.server import GRACE_SECONDS
from tests import kubernetes
from tests.kubernetes import FOLDER, OVERLAYS, resources

RESOURCES = resources()
PODS = kubernetes.pods()
SERVICES = ("orders-api", "orders-consumer")
STOP_SECONDS = 10
"""Within so many each process ends, as docs/operating.md says."""
SECRETS = {
    "ORDERS_POSTGRES_DSN": "host=db dbname=orders user=orders_api password=p",
    "ORDERS_REDIS_URL": "rediss://orders-api:p@cache/0",
    "ORDERS_KAFKA_SASL_USERNAME": "orders-api",
    "ORDERS_KAFKA_SASL_PASSWORD": "p",
    "ORDERS_HTTP_KEYS_FILE": __file__,  # any file
    "ORDERS_HTTP_SESSION_SECRET": "s" * 64,
}
KNOWN = {variable.name: variable for variable in variables()}


def of_kind(*kinds: str) -> list[Any]:
    return [resource for resource in RESOURCES if resource["kind"] in kinds]


def container(name: str) -> dict[str, Any]:
    (found,) = PODS[name]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def settings_in(folder: str) -> dict[str, str]:
    lines = (FOLDER / folder / "settings.env").read_text().split()
    return dict(line.split("=", 1) for line in lines)


def environment(name: str) -> dict[str, str]:
    """The variables of a pod in the base."""
    own = {variable["name"]: variable["value"] for variable in container(name)["env"]}
    return own | (settings_in("base") if "envFrom" in container(name) else {})


def selected(selector: dict[str, Any]) -> set[str]:
    """The pods that it selects."""
    return {name for name, pod in PODS.items() if _matches(pod["metadata"]["labels"], selector)}


def _matches(labels: dict[str, str], selector: dict[str, Any]) -> bool:
    wanted = selector.get("matchLabels", {}).items()
    among = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in among)
    return wanted <= labels.items() and all(labels[e["key"]] in e["values"] for e in among)


def test_every_resource_fits_the_schema_of_its_kind() -> None:
    assert [fault for fault in map(kubernetes.fault_in, RESOURCES) if fault] == []
    assert len(RESOURCES) > 15


@pytest.mark.parametrize("kind", ["Deployment", "NetworkPolicy", "ScaledObject", "ServiceMonitor"])
def test_what_is_misspelt_is_found(kind: str) -> None:
    resource = copy.deepcopy(of_kind(kind)[0])
    resource["spec"]["misspelt"] = 1
    assert "misspelt" in str(kubernetes.fault_in(resource))


def test_every_file_is_named_and_there() -> None:
    for folder in (FOLDER / "base", *OVERLAYS):
        found = kubernetes.kustomization(folder)
        named = set(found["resources"]) | {patch["path"] for patch in found.get("patches", [])}
        for generator in found.get("configMapGenerator", []):
            named |= set(generator["envs"])
        there = {path.name for path in folder.iterdir()} - {"kustomization.yaml"}
        assert {name for name in named if not name.startswith("..")} == there
        assert all((folder / name).exists() for name in named)


def test_patches_apply_to_what_there_is() -> None:
    targets = [
        (patch["target"], FOLDER / overlay.name / patch["path"])
        for overlay in OVERLAYS
        for patch in kubernetes.kustomization(overlay).get("patches", [])
    ]
    assert targets
    for target, _path in targets:
        names = [resource["metadata"]["name"] for resource in of_kind(target["kind"])]
        assert any(re.fullmatch(target["name"], name) for name in names), target


def test_names_are_given_once() -> None:
    names = [(resource["kind"], resource["metadata"]["name"]) for resource in RESOURCES]
    assert len(set(names)) == len(names)


def with_secrets(given: dict[str, str]) -> dict[str, str]:
    """The same settings, with those in files as values."""
    found = {}
    for variable, value in given.items():
        is_in_file = variable.endswith("_FILE")
        setting = variable if variable in KNOWN else variable.removesuffix("_FILE")
        assert setting in KNOWN
        found[setting] = SECRETS[setting] if is_in_file else value
    return found


@pytest.mark.parametrize("name", PODS)
def test_the_settings_are_ours_and_valid(name: str) -> None:
    given = environment(name)
    assert all(
        value.startswith("/run/secrets/orders/")
        for variable, value in given.items()
        if variable.endswith("_FILE")
    )
    load(with_secrets(given), required=("postgres_dsn",), dotenv=None)
    assert not any(KNOWN[v].secret for v in given if v in KNOWN), "secrets come from files"


def in_production(name: str) -> Settings:
    """The settings of a pod in that overlay."""
    patch = yaml.safe_load((FOLDER / "overlays/production/kafka-login.yaml").read_text())
    added = {operation["value"]["name"]: operation["value"]["value"] for operation in patch}
    given = with_secrets(environment(name) | settings_in("overlays/production") | added)
    del given["ORDERS_KAFKA_SSL_CAFILE"]  # a file of the pod
    return load(given, required=("postgres_dsn", "kafka_bootstrap"), dotenv=None)


@pytest.mark.parametrize("name", SERVICES)
def test_the_settings_of_production_are_valid(name: str) -> None:
    settings = in_production(name)
    assert settings.kafka_sasl_mechanism == "SCRAM-SHA-512"
    assert not settings.migrate_on_start


@pytest.mark.parametrize("name", PODS)
def test_they_run_our_commands_in_our_image(name: str) -> None:
    (command,) = container(name)["args"]
    assert command in main.list_commands(None)  # type: ignore[arg-type]
    (image,) = kubernetes.kustomization(FOLDER / "base")["images"]
    assert container(name)["image"] == image["name"]
    assert image["newTag"] == version("orders")


@pytest.mark.parametrize("name", PODS)
def test_they_have_no_right_that_they_do_not_need(name: str) -> None:
    pod, inner = PODS[name]["spec"], container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    user, group = re.findall(r"(?m)^USER (\d+):(\d+)$", (FOLDER.parent / "Dockerfile").read_text())[
        -1
    ]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user),
        "runAsGroup": int(group),
        "fsGroup": int(group),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert inner["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= inner["resources"]["requests"].keys()
    assert inner["resources"]["limits"].keys() == {"memory"}
    (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secret == {"secretName": name, "defaultMode": 0o440}
    (mounted,) = [mount for mount in inner["volumeMounts"] if mount["name"] == "secrets"]
    assert mounted["readOnly"] is True
    mounts = {mount["name"] for mount in inner["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    assert not of_kind("Secret")


@pytest.mark.parametrize("name", SERVICES)
def test_probes_ask_the_health_port_what_it_answers(name: str) -> None:
    given = environment(name)
    inner = container(name)
    ports = {port["name"]: str(port["containerPort"]) for port in inner["ports"]}
    process = "HTTP" if name == "orders-api" else "CONSUMER"
    assert ports["health"] == given[f"ORDERS_{process}_HEALTH_PORT"]
    assert given[f"ORDERS_{process}_HEALTH_HOST"] == "0.0.0.0"
    assert ports.get("http") == given.get("ORDERS_HTTP_PORT")
    for probe, path in (("startup", "live"), ("liveness", "live"), ("readiness", "ready")):
        asked = inner[f"{probe}Probe"]["httpGet"]
        assert asked == {"port": "health", "path": f"/health/{path}"}


@pytest.mark.parametrize("name", PODS)
def test_they_have_the_time_that_stopping_takes(name: str) -> None:
    waits = container(name).get("lifecycle", {}).get("preStop", {}).get("sleep", {})
    grace = PODS[name]["spec"]["terminationGracePeriodSeconds"]
    assert GRACE_SECONDS < STOP_SECONDS
    assert grace > waits.get("seconds", 0) + STOP_SECONDS


def test_selectors_select_and_references_lead_somewhere() -> None:
    for deployment in of_kind("Deployment"):
        name = deployment["metadata"]["name"]
        assert selected(deployment["spec"]["selector"]) == {name}
        (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert selected(spread["labelSelector"]) == {name}
    for budget in of_kind("PodDisruptionBudget"):
        assert selected(budget["spec"]["selector"]) == {budget["metadata"]["name"]}
    assert {b["metadata"]["name"] for b in of_kind("PodDisruptionBudget")} == set(SERVICES)
    for service in of_kind("Service"):
        (name,) = selected({"matchLabels": service["spec"]["selector"]})
        assert name == service["metadata"]["name"]
        ports = {port["name"] for port in container(name)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    services = {service["metadata"]["name"]: service for service in of_kind("Service")}
    for monitor in of_kind("ServiceMonitor"):
        name = monitor["metadata"]["name"]
        assert _matches(services[name]["metadata"]["labels"], monitor["spec"]["selector"])
        ports = {port["name"] for port in services[name]["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports
    assert {monitor["metadata"]["name"] for monitor in of_kind("ServiceMonitor")} == set(SERVICES)
    for scaler in of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        assert scaler["spec"]["scaleTargetRef"]["name"] in PODS
    accounts = {account["metadata"]["name"] for account in of_kind("ServiceAccount")}
    assert {pod["spec"]["serviceAccountName"] for pod in PODS.values()} == accounts
    maps = {g["name"] for g in kubernetes.kustomization(FOLDER / "base")["configMapGenerator"]}
    used = {s["configMapRef"]["name"] for name in PODS for s in container(name).get("envFrom", [])}
    assert used == maps


def test_all_is_denied_that_no_policy_names() -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind("NetworkPolicy")}
    deny = policies.pop("orders-deny-all")
    assert selected(deny["podSelector"]) == set(PODS)
    assert deny == {"podSelector": deny["podSelector"], "policyTypes": ["Ingress", "Egress"]}
    for policy in policies.values():
        assert selected(policy["podSelector"])
        assert [direction.lower() for direction in policy["policyTypes"]] == [
            key for key in policy if key in {"ingress", "egress"}
        ]
        assert all(rule["ports"] for rule in _rules(policy))
    into = {
        (name, port)
        for policy in policies.values()
        for rule in policy.get("ingress", [])
        for name in selected(policy["podSelector"])
        for port in _numbers(name, rule)
    }
    assert into == {("orders-api", 8080), ("orders-api", 8082), ("orders-consumer", 8081)}
    assert all("from" in rule for p in policies.values() for rule in p.get("ingress", []))


def _rules(policy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from policy.get("ingress", [])
    yield from policy.get("egress", [])


def _numbers(name: str, rule: dict[str, Any]) -> Iterator[int]:
    """The ports of a pod that a rule opens."""
    ports = {port["name"]: port["containerPort"] for port in container(name).get("ports", [])}
    for port in rule["ports"]:
        number = ports.get(port["port"], port["port"])
        if number in ports.values():
            yield number


def test_consumers_are_scaled_by_the_topic_that_they_read() -> None:
    (scaled,) = of_kind("ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    settings = in_production("orders-consumer")
    given = trigger["metadata"]
    assert given["topic"] == settings.kafka_topic
    assert given["consumerGroup"] == settings.kafka_group
    assert given["bootstrapServers"] == settings.kafka_bootstrap
    assert scaled["spec"]["maxReplicaCount"] == settings.kafka_partitions
    (authentication,) = of_kind("TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_kustomize_builds_valid_resources(overlay: Any) -> None:
    built = kubernetes.build(overlay)
    if built is None:
        pytest.skip("kustomize is not installed")
    assert [fault for fault in map(kubernetes.fault_in, built) if fault] == []
