"""Child processes: started apart, stopped for sure, never mistaken for another."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orders_dev.errors import ChildError
from orders_dev.identity import identity, working_folder
from orders_dev.orphan_cleanup import StopStep, reclaim, remember
from orders_dev.process import ChildProcess, Launch, run_tool
from tests.waiting import wait_until

POLITE = (StopStep(signal.SIGTERM, 5.0),)
IMPATIENT = (StopStep(signal.SIGTERM, 0.3),)
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\n"
SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def launch(folder: Path, code: str, steps: tuple[StopStep, ...] = POLITE) -> Launch:
    return Launch(
        name="the program",
        argv=(sys.executable, "-c", textwrap.dedent(code)),
        folder=folder,
        log=folder / "logs" / "program.log",
        environment=dict(os.environ),
        stop_steps=steps,
    )


def start(child: ChildProcess) -> int:
    child.start()
    wait_until(lambda: "up" in child.tail(), 10, "it")
    assert child.pid is not None
    return child.pid


def test_a_child_has_a_session_of_its_own_and_keeps_its_process_id(tmp_path: Path) -> None:
    child = ChildProcess(launch(tmp_path, f"import os; print('pid', os.getpid())\n{SLEEP}"))
    pid = start(child)
    assert os.getsid(pid) == pid
    assert f"pid {pid}" in child.tail()
    child.stop()
    assert identity(pid) is None
    assert child.exit_code == -signal.SIGTERM


def test_signals_that_python_ignores_are_not_ignored_by_the_program(tmp_path: Path) -> None:
    sh = shutil.which("sh")
    assert sh
    command = launch(tmp_path, "")
    ignored = ChildProcess(
        Launch(
            "sh", (sh, "-c", "grep SigIgn /proc/$$/status"), tmp_path, command.log, dict(os.environ)
        )
    )
    ignored.start()
    assert ignored.wait(10) == 0
    found = int(ignored.tail().split()[-1], 16)
    by_python = [signal.SIGPIPE, signal.SIGXFSZ]  # others may come from whoever runs the tests
    assert [number for number in by_python if found & 1 << number - 1] == []


def test_what_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    child = ChildProcess(launch(tmp_path, STUBBORN + "time.sleep(600)", IMPATIENT))
    start(child)
    child.stop()
    assert child.exit_code == -signal.SIGKILL


def test_helpers_that_a_child_leaves_behind_end_with_it(tmp_path: Path) -> None:
    code = f"""
    import subprocess, sys
    helper = subprocess.Popen([sys.executable, "-c", {STUBBORN + "time.sleep(600)"!r}],
                              stdout=subprocess.PIPE)
    helper.stdout.readline()
    print("helper", helper.pid, "up", flush=True)
    sys.exit(3)
    """
    child = ChildProcess(launch(tmp_path, code))
    start(child)
    wait_until(lambda: not child.running, 10, "it")
    helper = int(child.tail().split()[1])
    assert identity(helper) is not None
    child.stop()
    assert child.exit_code == 3
    wait_until(lambda: identity(helper) is None, 10, "it")


def test_readiness_is_waited_for(tmp_path: Path) -> None:
    child = ChildProcess(launch(tmp_path, SLEEP))
    child.start()
    child.wait_until(lambda: "up" in child.tail(), 10)
    with pytest.raises(ChildError, match="not ready within 0 s"):
        child.wait_until(lambda: False, 0.1)
    child.stop()


def test_an_early_end_is_reported_with_the_end_of_the_log(tmp_path: Path) -> None:
    child = ChildProcess(launch(tmp_path, "print('no such table'); raise SystemExit(7)"))
    child.start()
    with pytest.raises(ChildError, match=r"ended by itself \(exit code 7\)") as failure:
        child.wait_until(lambda: False, 10)
    assert "no such table" in failure.value.advice
    child.stop()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    nothing = Launch("nothing", ("/no/such/program",), tmp_path, tmp_path / "log", {})
    with pytest.raises(ChildError, match="exit code 127") as failure:
        run_tool(nothing, 10, lambda _child: None)
    assert "cannot start /no/such/program" in failure.value.advice


def test_a_tool_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    started: list[ChildProcess] = []
    with pytest.raises(ChildError, match="not done within"):
        run_tool(launch(tmp_path, SLEEP), 0.5, started.append)
    assert not started[0].running


def test_an_orphan_is_reclaimed(tmp_path: Path) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    remember(tmp_path / "record", orphan.pid)
    reclaim(tmp_path / "record", POLITE)
    assert orphan.wait(1) == -signal.SIGTERM
    assert not (tmp_path / "record").exists()


def test_a_process_with_a_reused_id_is_not_signalled(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as stranger:
        record = tmp_path / "record"
        remember(record, stranger.pid)
        kept = json.loads(record.read_text("utf-8"))
        record.write_text(json.dumps({**kept, "identity": kept["identity"] + "0"}), "utf-8")
        reclaim(record, POLITE)
        assert stranger.poll() is None
        assert not record.exists()
        stranger.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "identity": "y"}'])
def test_a_broken_record_harms_nobody(tmp_path: Path, text: str) -> None:
    record = tmp_path / "record"
    record.write_text(text, "utf-8")
    reclaim(record, POLITE)
    reclaim(tmp_path / "missing", POLITE)


def test_a_zombie_does_not_run() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity(child.pid) is None
    child.wait()


def test_where_a_process_works(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP], cwd=tmp_path) as process:
        assert working_folder(process.pid) == tmp_path
        process.kill()
    assert working_folder(process.pid) is None
