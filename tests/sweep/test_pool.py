"""The launcher of worker processes: what becomes of cells that end well, badly, or not at all."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from omegaconf import OmegaConf

from src import ROOT
from src.config.settings import ConfigError
from src.sweep.pool import PoolLauncher
from tests.commands import wait_until

NOTHING = ["COMPLETED", "NoneType", "None"]
# What a cell does, and what the launcher says of it.
ENDINGS = {
    "nothing": NOTHING,
    "raise": ["FAILED", "ValueError", "no good"],
    "peculiar": ["FAILED", "RuntimeError", "Peculiar: no good"],
    "exit_4": ["FAILED", "RuntimeError", "SystemExit: 4"],
    "sleep_0.1": NOTHING,
    "sleep_600_4": ["FAILED", "TimeLimitExceeded", "over its time limit of 3s"],
    "leave_3": ["FAILED", "WorkerDied", "the worker process ended with exit code 3"],
    "sleep_0.2": NOTHING,
    "leave_0": ["FAILED", "WorkerDied", "the worker process ended with exit code 0"],
    "die": ["FAILED", "WorkerDied", "the worker process ended with exit code -9 (SIGKILL)"],
    "sleep_0.3": NOTHING,
}


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    """The program on a grid, with its sweep in a folder of the folder given."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pool_app", "-m", f"hydra.sweep.dir={folder}/${{pid:}}", *overrides],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def sweep_of(folder: Path) -> Path:
    """The only sweep's folder; a worker that made it of its own process id would leave another one."""
    (sweep,) = folder.iterdir()
    return sweep


def cells_of(folder: Path) -> list[dict[str, Any]]:
    """What the cells that began have noted, in the order of their numbers."""
    noted = sweep_of(folder).glob("*/cell.json")
    return [json.loads(path.read_text()) for path in sorted(noted, key=lambda path: int(path.parent.name))]


def run(folder: Path, *overrides: str) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """The results that the launcher returned, and what the cells have noted."""
    output, errors = (process := start(folder, *overrides)).communicate(timeout=100)
    assert (process.returncode, output, errors) == (0, "", "")
    return json.loads((sweep_of(folder) / "results.json").read_text()), cells_of(folder)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a program; its children are its workers and one tracker of resources."""
    try:
        children = psutil.Process(process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def begun(folder: Path, count: int) -> None:
    """Wait until so many cells have begun."""
    wait_until(lambda: len(list(folder.glob("*/*/cell.json"))) >= count, seconds=60)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    """A grid of every ending; what is said of one is said while another worker is at work."""
    folder = tmp_path_factory.mktemp("ended")
    limits = ("hydra.launcher.workers=2", "hydra.launcher.time_limit=3")
    return folder, run(folder, f"do={','.join(ENDINGS)}", *limits)[0]


@pytest.mark.parametrize("do", ENDINGS)
def test_every_cell_has_its_own_outcome(do, ended):
    _, results = ended
    assert results[list(ENDINGS).index(do)] == [f"do={do}", *ENDINGS[do]]


def test_a_cell_over_its_limit_is_given_the_time_to_close_its_run(ended):
    """Closing takes 4 s here; Pebble alone would kill after 3 s."""
    folder, _ = ended
    number = list(ENDINGS).index("sleep_600_4")
    assert (sweep_of(folder) / str(number) / "closed").read_text() == "ended by SIGTERM"


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[str]], list[dict[str, Any]]]:
    limits = ("hydra.launcher.workers=2", "hydra.launcher.threads=3")
    return run(tmp_path_factory.mktemp("ordinary"), "number=7,3,5,0,1,2", *limits)


def test_results_come_in_the_order_of_the_cells(ordinary):
    results, _ = ordinary
    assert results == [[f"number={number}", *NOTHING] for number in (7, 3, 5, 0, 1, 2)]


def test_a_worker_runs_many_cells(ordinary):
    _, cells = ordinary
    assert len(cells) == 6
    assert len({cell["pid"] for cell in cells}) <= 2


def test_workers_have_their_threads_in_the_environment_and_that_of_the_program(ordinary):
    _, cells = ordinary
    for cell in cells:
        assert cell["TF_NUM_INTRAOP_THREADS"] == cell["TF_NUM_INTEROP_THREADS"] == cell["OMP_NUM_THREADS"] == "3"
        assert cell["TQDM_DISABLE"] == cell["HYDRA_FULL_ERROR"] == "1"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Four cells in a row; the second keeps 300 MiB."""
    limits = ("hydra.launcher.workers=1", "hydra.launcher.recycle_gb=0.25")
    return run(tmp_path_factory.mktemp("grown"), "do=nothing,grow,sleep_0,sleep_0.1", *limits)[1]


def test_a_worker_that_has_grown_too_large_is_replaced(grown):
    pids = [cell["pid"] for cell in grown]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_cells_begin_in_the_given_order(grown):
    times = [cell["time"] for cell in grown]
    assert times == sorted(times)


def test_no_worker_is_started_without_a_cell_for_it(tmp_path):
    process = start(tmp_path, "do=sleep_1.5,sleep_1.6", "hydra.launcher.workers=4")
    most = 0
    while process.poll() is None:
        most = max(most, len(workers_of(process)))
        time.sleep(0.05)
    assert process.communicate() == ("", "")
    assert most == 2


@pytest.fixture
def two_of_four(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A program with two workers in the midst of the first two of four cells, and those workers.

    The second cell's run takes 4 seconds to close, in which the third could begin.
    """
    process = start(tmp_path, "do=sleep_60_0,sleep_60_4,sleep_62,sleep_63", "hydra.launcher.workers=2")
    begun(tmp_path, 2)
    workers = workers_of(process)
    assert len(workers) == 2
    yield process, workers
    process.kill()
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.kill()


@pytest.mark.parametrize(
    ("send", "number", "reason"),
    [
        (os.kill, signal.SIGKILL, "parent process ended"),
        (os.kill, signal.SIGTERM, "ended by SIGTERM"),
        (os.killpg, signal.SIGINT, "ended by SIGTERM"),
    ],
    ids=["SIGKILL", "SIGTERM", "Ctrl-C"],
)
def test_workers_close_their_runs_and_go_when_their_program_goes(send, number, reason, two_of_four, tmp_path):
    process, workers = two_of_four
    send(process.pid, number)
    gone, alive = psutil.wait_procs(workers, timeout=8)
    assert (len(gone), alive) == (2, [])
    assert process.communicate(timeout=5) == ("", "")
    assert [path.read_text() for path in sweep_of(tmp_path).glob("*/closed")] == [reason, reason]
    assert len(cells_of(tmp_path)) == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workers", 0),
        ("workers", "two"),
        ("workers", True),
        ("threads", None),
        ("threads", 1.5),
        ("time_limit", "soon"),
        ("time_limit", 0),
        ("time_limit", "-3m"),
        ("recycle_gb", 0),
        ("recycle_gb", "2GB"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_is_expected(key, value):
    arguments = {"workers": 2, "threads": 1, "time_limit": "1h", "recycle_gb": 2.0, key: value}
    with pytest.raises(ConfigError) as refused:
        PoolLauncher(**arguments).setup(hydra_context=None, task_function=print, config=OmegaConf.create())
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"hydra.launcher.{key} must be a ")
    assert f"Received: hydra.launcher.{key}={value}." in line


def test_a_refusal_is_one_line_and_nothing_is_started(tmp_path):
    process = start(tmp_path, "number=1,2", "hydra.launcher.time_limit=soon")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors == (
        "hydra.launcher.time_limit must be a duration such as 90s, 30m or 2h, or null. "
        "Received: hydra.launcher.time_limit=soon. null sets no limit.\n"
    )
    assert not list(tmp_path.iterdir())
