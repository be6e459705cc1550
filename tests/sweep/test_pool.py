"""The pool of worker processes: what becomes of cells that end well, badly, or not at all."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from omegaconf import OmegaConf

from src import ROOT
from src.config import ConfigError
from src.sweep.launcher import PoolLauncher
from tests.commands import wait_until

# What a cell does, and what the pool says of it; None where it ended well.
ENDINGS = {
    "nothing": None,
    "raise": ["CellFailed", "ValueError: no good"],
    "peculiar": ["CellFailed", "Peculiar: no good"],
    "exit_4": ["CellFailed", "SystemExit: 4"],
    "sleep_0.1": None,
    "sleep_900_2": ["TimeLimitExceeded", "over its time limit of 20s"],
    "leave_3": ["WorkerDied", "the worker process ended with exit code 3"],
    "sleep_0.2": None,
    "leave_0": ["WorkerDied", "the worker process ended with exit code 0"],
    "die": ["WorkerDied", "the worker process ended with exit code -9 (SIGKILL)"],
    "sleep_0.3": None,
}


def start(folder: Path, *cells: str, **pool: object) -> subprocess.Popen[str]:
    """The program on some cells, which leave their notes in the folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sweep.pool_cells", str(folder), json.dumps(pool), *cells],
        cwd=ROOT,
        env={**os.environ, "OF_THE_PROGRAM": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def cells_of(folder: Path) -> list[dict[str, Any]]:
    """What the cells that began have noted, in the order of their numbers."""
    noted = sorted(folder.glob("*/cell.json"), key=lambda path: int(path.parent.name))
    return [json.loads(path.read_text()) for path in noted]


def run(folder: Path, *cells: str, **pool: object) -> tuple[list[list[str] | None], list[dict[str, Any]]]:
    """What the pool said of the cells, and what they have noted."""
    output, errors = (process := start(folder, *cells, **pool)).communicate(timeout=600)
    assert (process.returncode, errors) == (0, "")
    return json.loads(output), cells_of(folder)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return psutil.Process(process.pid).children()
    return []


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str] | None]]:
    """A cell of every ending; what is said of one is said while another worker is at work."""
    folder = tmp_path_factory.mktemp("ended")
    return folder, run(folder, *ENDINGS, workers=2, time_limit=20)[0]


@pytest.mark.parametrize("do", ENDINGS)
def test_every_cell_has_its_own_outcome(do, ended):
    _, results = ended
    assert results[list(ENDINGS).index(do)] == ENDINGS[do]


def test_a_cell_over_its_limit_is_given_the_time_to_close_its_run(ended):
    folder, _ = ended
    number = list(ENDINGS).index("sleep_900_2")
    assert (folder / str(number) / "closed").read_text() == "ended by SIGTERM"


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[str] | None], list[dict[str, Any]]]:
    return run(tmp_path_factory.mktemp("ordinary"), *["nothing"] * 5, "raise", workers=2, threads=3)


def test_results_come_in_the_order_of_the_cells(ordinary):
    results, _ = ordinary
    assert results == [None] * 5 + [ENDINGS["raise"]]


def test_a_worker_runs_many_cells(ordinary):
    _, cells = ordinary
    assert len(cells) == 6
    assert len({cell["pid"] for cell in cells}) <= 2


def test_workers_have_their_threads_in_the_environment_and_that_of_the_program(ordinary):
    _, cells = ordinary
    for cell in cells:
        assert cell["TF_NUM_INTRAOP_THREADS"] == cell["TF_NUM_INTEROP_THREADS"] == cell["OMP_NUM_THREADS"] == "3"
        assert cell["TQDM_DISABLE"] == cell["OF_THE_PROGRAM"] == "1"


def test_every_worker_has_a_process_group_of_its_own(ordinary):
    _, cells = ordinary
    assert all(cell["group"] == cell["pid"] for cell in cells)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Four cells in a row; the second keeps 300 MiB."""
    return run(
        tmp_path_factory.mktemp("grown"), "nothing", "grow", "nothing", "nothing", workers=1, recycle_bytes=2**28
    )[1]


def test_a_worker_that_has_grown_too_large_is_replaced(grown):
    pids = [cell["pid"] for cell in grown]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_cells_begin_in_the_given_order(grown):
    times = [cell["time"] for cell in grown]
    assert times == sorted(times)


def test_no_worker_is_started_without_a_cell_for_it(tmp_path):
    _, cells = run(tmp_path, "sleep_3", "sleep_3", workers=4)
    assert len({cell["pid"] for cell in cells}) == 2
    process = start(tmp_path / "..", workers=4)
    assert process.communicate(timeout=60)[0] == "[]\n"


@pytest.fixture
def two_of_four(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A program with two workers in the midst of the first two of four cells, and those workers.

    The second cell's run takes 2 seconds to close, in which the third could begin.
    """
    process = start(tmp_path, "sleep_900_0", "sleep_900_2", "sleep_902", "sleep_903", workers=2)
    wait_until(lambda: len(cells_of(tmp_path)) >= 2, process)
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
        (os.killpg, signal.SIGKILL, "parent process ended"),
        (os.kill, signal.SIGTERM, "ended by SIGTERM"),
        (os.killpg, signal.SIGTERM, "ended by SIGTERM"),
        (os.killpg, signal.SIGINT, "ended by SIGTERM"),
    ],
    ids=["SIGKILL", "SIGKILL to the group", "SIGTERM", "SIGTERM to the group", "Ctrl-C"],
)
def test_workers_close_their_runs_and_go_when_their_program_goes(send, number, reason, two_of_four, tmp_path):
    process, workers = two_of_four
    send(process.pid, number)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert process.communicate(timeout=60) == ("", "")
    assert [path.read_text() for path in tmp_path.glob("*/closed")] == [reason, reason]
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
    assert f"Received: hydra.launcher.{key}={'null' if value is None else value}." in line
