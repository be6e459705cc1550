"""Signals to the real command at random moments, start-up included, and what the grid has when it is left alone."""

import os
import random
import signal
import time
from contextlib import suppress

import psutil
import pytest

from src import schema
from tests.commands import BRIEF, CLOCKED, Workplace, wait_until

GRID = ("-m", "mc_samples=1,3", "seed=0,1,2", "epochs=500", "checkpoint.every=1s", *BRIEF)
POOL = ("hydra/launcher=pool", "hydra.launcher.workers=2")
TRIALS, LATEST = 10, 40
pytestmark = pytest.mark.timeout(3600)


def numbers(place: Workplace) -> dict[str, list[str]]:
    """The metrics of every finished cell by its name, times and memory left out; in the ledgers and in the store."""
    found = {}
    for cell in place.cells():
        assert cell.status == schema.FINISHED
        metrics = [line for line in place.recorded()[cell.key][1] if line.split()[0] not in CLOCKED]
        assert metrics == [line for line in place.stored()[cell.key][1] if line.split()[0] not in CLOCKED]
        assert cell.folder.parent.name not in found
        found[cell.folder.parent.name] = metrics
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("undisturbed"))
    done = place.train(*GRID, *POOL, timeout=1200)
    assert done.returncode == 0, done.stderr
    return numbers(place)


def disturb(place: Workplace, chance: random.Random) -> str:
    """Start the grid, send a signal at a random moment, check that all is gone; returns what was done."""
    number = chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    to_group, moment = chance.random() < 0.5, chance.uniform(0, LATEST)
    what = f"{number.name} to the {'group' if to_group else 'process'} after {moment:.2f} s"
    command = place.start(*GRID, *POOL, new_group=True)
    with suppress(Exception):
        command.wait(moment)
    family = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(command.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        (os.killpg if to_group else os.kill)(command.pid, number)
    sent = time.monotonic()
    command.communicate(timeout=60)
    assert number == signal.SIGKILL or time.monotonic() - sent < 10, what
    wait_until(lambda: not any(process.is_running() for process in family), seconds=60)
    return what


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_whatever_signal_comes_when_the_grid_ends_with_the_numbers_of_one_left_alone(undisturbed, tmp_path, seed):
    place, chance = Workplace(tmp_path), random.Random(seed)
    for _ in range(TRIALS):
        what = disturb(place, chance)
        place.sync()
        assert schema.RUNNING not in [found.status for found in place.ledgers()], what
        assert not place.query("select 1 from runs where status = 'RUNNING'"), what
    done = place.train(*GRID, *POOL, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert numbers(place) == undisturbed
    assert not place.query("select 1 from runs where status = 'RUNNING'")
    finished = place.query(
        "select value from tags join runs using (run_uuid) where status = 'FINISHED' and key = ?", schema.FINGERPRINT
    )
    assert len(finished) == len(set(finished)) == 6


def test_ctrl_c_ends_a_study_whose_output_nobody_reads_any_more(tmp_path):
    place = Workplace(tmp_path)
    process = place.start("-m", "mc_samples=1,3", "epochs=100000", *BRIEF)
    wait_until(lambda: list(place.runs_folder.glob("K3-*/1/ledger.jsonl")), process)
    process.stdout.close()
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 128 + signal.SIGINT
    place.sync()
    assert [status for _, status in place.runs()] == ["KILLED", "KILLED"]
