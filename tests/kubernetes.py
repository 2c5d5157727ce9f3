"""The manifests in deploy/kubernetes, and the schemas that they have to fit.

``python -m tests.kubernetes`` checks every document by itself. Where kustomize is on the PATH, it
also builds the overlays and checks the outcome; where it is not, it says so.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import kubernetes_validate
import yaml

FOLDER = Path(__file__).parents[1] / "deploy" / "kubernetes"
OVERLAYS = sorted(path for path in (FOLDER / "overlays").iterdir() if path.is_dir())
VERSIONS = ("1.31", "1.37")
"""The oldest and the newest Kubernetes that the manifests are checked for."""

_SCHEMAS = Path(__file__).parent / "data" / "kubernetes"
_CUSTOM = ("keda.sh/", "monitoring.coreos.com/")


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """The documents of a file of resources."""
    yield from yaml.safe_load_all(path.read_text("utf-8"))


def kustomization(folder: Path) -> dict[str, Any]:
    """What a folder is made of."""
    (found,) = documents(folder / "kustomization.yaml")
    return found


def resources() -> list[dict[str, Any]]:
    """All resources, as they are written; patches are none."""
    return [
        document
        for folder in (FOLDER / "base", *OVERLAYS)
        for name in kustomization(folder)["resources"]
        if (folder / name).is_file()
        for document in documents(folder / name)
    ]


def pods() -> dict[str, dict[str, Any]]:
    """The templates of all pods by the names of what makes them."""
    return {
        resource["metadata"]["name"]: resource["spec"]["template"]
        for resource in resources()
        if resource["kind"] in {"Deployment", "Job"}
    }


def fault_in(document: dict[str, Any]) -> str | None:
    """What is wrong with a resource by the schema of its kind, if anything is."""
    kind = document["kind"].lower()
    try:
        if document["apiVersion"].startswith(_CUSTOM):
            jsonschema.validate(document, json.loads((_SCHEMAS / f"{kind}.json").read_bytes()))
        else:
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        name = document["metadata"]["name"]
        where = "".join(f"[{part!r}]" for part in error.path)
        return f"{document['kind']} {name}: {where}: {error.message.splitlines()[0]}"
    return None


def build(overlay: Path) -> list[dict[str, Any]] | None:
    """What kustomize makes of an overlay; None where it is not installed."""
    program = shutil.which("kustomize")
    if program is None:
        return None
    built = subprocess.run([program, "build", overlay], check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(built.stdout))


def main() -> None:
    """Check all of it."""
    checked = resources()
    for overlay in OVERLAYS:
        made = build(overlay)
        if made is None:
            click.echo(f"SKIPPED: kustomize is not installed, {overlay.name} was not built")
        checked += made or []
    faults = list(filter(None, map(fault_in, checked)))
    click.echo("\n".join([*faults, f"{len(checked)} resources checked, {len(faults)} faults"]))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
