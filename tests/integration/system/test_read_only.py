"""The processes work where no file can be written, as in the pods of deploy/kubernetes."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import order_bytes
from tests.integration.system.processes import System
from tests.kubernetes import pods

_ISOLATED = ("unshare", "--mount", "--propagation", "private")
# All that is mounted, but for the folder that the manifest has a volume for.
_READ_ONLY = """
set -e
for mounted in $(cut -d' ' -f5 /proc/self/mountinfo); do
    mount -o remount,bind,ro "$mounted" 2>/dev/null || true
done
cd /
if touch "$0/file" 2>/dev/null; then exit 9; fi
[ -z "$WRITABLE" ] || mount -t tmpfs tmpfs "$WRITABLE"
exec "$@"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "writable"
    made.mkdir()
    return made


@pytest.fixture
def read_only(system_environment: dict[str, str], tmp_path: Path) -> Iterator[System]:
    if (
        shutil.which("unshare") is None
        or subprocess.run([*_ISOLATED, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("mounts cannot be isolated here")
    wrapper = (*_ISOLATED, "sh", "-c", _READ_ONLY, str(tmp_path))
    system = System(system_environment, tmp_path, wrapper=wrapper)
    yield system
    system.close()


def test_an_order_goes_all_the_way(read_only: System, folder: Path) -> None:
    volumes = {
        name: [v["name"] for v in pod["spec"]["volumes"] if "emptyDir" in v]
        for name, pod in pods().items()
    }
    assert volumes == {"orders-api": ["tmp"], "orders-consumer": [], "orders-migrate": []}
    read_only.start("consumer")
    read_only.start_api(WRITABLE=str(folder), TMPDIR=str(folder), ORDERS_HTTP_WORKERS="2")
    assert read_only.http.post("/orders", content=order_bytes("a")).status_code == 202
    assert read_only.order("a").json()["order_uid"] == "a"
    for process in ("api", "consumer"):
        assert read_only.stop(process) == 0, read_only.log(process)
        assert '"level":"error"' not in read_only.log(process)
