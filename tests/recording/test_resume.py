"""Runs that are killed go on where they were, and end with the numbers of a run that was not."""

import io
import os
import signal
import zipfile
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from src import schema
from src.recording import checkpoint, ledger
from src.recording.ledger import Ledger
from tests.commands import BRIEF, CLOCKED, Workplace, wait_until, with_faults

# An optimizer with a state, a learning rate that changes and pixels that are drawn anew: all of it has to come back.
CELL = (
    "optimizer=adam",
    "learning_rate_schedule=burda",
    "data.pixels=dynamic",
    "epochs=7",
    "checkpoint.every=1",
    "probe.epochs=[0,3]",
    "evaluation.quadrature=false",
)
POOL = ("hydra/launcher=pool",)
# As the workers of a pool have them.
ONE_THREAD = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
pytestmark = pytest.mark.timeout(900)


def numbers(place: Workplace, run_id: str) -> dict[tuple[str, int], tuple]:
    """All that the store has of a run's metrics but for times and memory; a row is there once."""
    rows = place.query("select key, step, value, is_nan from metrics where run_uuid = ?", run_id)
    found = {(key, step): value for key, step, *value in rows}
    assert len(found) == len(rows)
    return {key: value for key, value in found.items() if key[0] not in CLOCKED}


def weights(path: Path) -> dict[str, np.ndarray]:
    """Every array of a Keras archive."""
    arrays = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as found:
        found.visititems(lambda name, item: arrays.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    assert arrays
    return arrays


def only_cell(place: Workplace, name: str = "K") -> Ledger:
    (found,) = place.cells(name)
    return found


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing interrupts: its numbers and its weights."""
    place = Workplace(tmp_path_factory.mktemp("whole"))
    done = place.train(*CELL, environment=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    ((run_id, _),) = place.runs()
    return numbers(place, run_id), weights(only_cell(place).folder / schema.MODEL_FILE)


# When the run is killed, which of its checkpoints are damaged then, and after which epoch it goes on.
KILLS = [
    ("tear writing epoch=2", (), 1),
    ("kill training epoch=4", (checkpoint.FILE, checkpoint.FORMER_FILE), 0),
    ("kill renaming epoch=5", (), 4),
    ("kill saved epoch=6", (checkpoint.FILE,), 5),
    ("kill ending", (), 7),
]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that is killed five times and started again each time; what every start has said."""
    place = Workplace(tmp_path_factory.mktemp("killed"))
    said = []
    for fault, damaged, _ in KILLS:
        done = place.train(*CELL, environment={**ONE_THREAD, **with_faults(fault)})
        assert done.returncode == -9, done.stderr
        said.append(done.stderr)
        for name in damaged:
            damage(only_cell(place).folder / name)
    done = place.train(*CELL, environment={**ONE_THREAD, **with_faults()})
    assert done.returncode == 0, done.stderr
    return place, [*said, done.stderr]


@pytest.mark.parametrize("number", range(len(KILLS)))
def test_a_killed_run_goes_on_from_its_last_whole_checkpoint(killed, number):
    _, said = killed
    fault, damaged, done = KILLS[number]
    assert f"epochs done before: {done}\n" in said[number + 1], fault
    assert said[number + 1].count("is damaged") == len(damaged)
    assert "is continued (" in said[number + 1]


def test_a_run_whose_last_line_is_torn_has_all_rows_of_one_that_was_not(tmp_path, whole):
    """The last checkpoint is of an epoch whose row is lost: the run goes on from the one before."""
    place = Workplace(tmp_path)
    assert place.train(*CELL, environment={**ONE_THREAD, **with_faults("kill saved epoch=4")}).returncode == -9
    file = only_cell(place).file
    file.write_bytes(file.read_bytes()[:-40])
    done = place.train(*CELL, environment={**ONE_THREAD, **with_faults()})
    assert done.returncode == 0, done.stderr
    assert "is of epoch 4, the ledger ends at 3" in done.stderr
    assert "epochs done before: 3\n" in done.stderr
    rows = [(key, event["step"]) for event in only_cell(place).of(ledger.METRICS) for key in event["metrics"]]
    assert len(rows) == len(set(rows))
    # The store may have the lost row too, sent before the crash, with the same numbers at another time.
    assert only_cell(place).recorded() == {*whole[0], *((key, step) for key, step in rows if key in CLOCKED)}
    stored = {(key, step): value for key, step, *value in place.query("select key, step, value, is_nan from metrics")}
    assert {at: value for at, value in stored.items() if at in whole[0]} == whole[0]


def test_a_killed_run_stays_the_same_run_and_tells_what_happened(killed):
    place, _ = killed
    ((run_id, status),) = place.runs()
    assert status == "FINISHED"
    assert place.pairs("tags", run_id)[schema.STATUS] == schema.FINISHED
    assert schema.NOTE not in {key for key, value in place.pairs("tags", run_id).items() if value}
    events = only_cell(place).events
    assert [event["event"] for event in events].count(ledger.START) == 1
    assert [event["event"] for event in events].count(ledger.RESUME) == len(KILLS)
    deaths = [event["note"] for event in events if event.get("status") == schema.KILLED]
    assert len(deaths) == len(KILLS)
    assert all("died unexpectedly" in note for note in deaths)


def test_a_killed_run_has_the_numbers_of_one_that_was_not(killed, whole):
    place, _ = killed
    assert numbers(place, place.runs()[0][0]) == whole[0]


def test_a_killed_run_has_the_weights_of_one_that_was_not(killed, whole):
    found = weights(only_cell(killed[0]).folder / schema.MODEL_FILE)
    assert found.keys() == whole[1].keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, whole[1][name], err_msg=name)


def test_what_has_ended_keeps_no_checkpoint(killed):
    folder = only_cell(killed[0]).folder
    assert not list(folder.glob("checkpoint*"))


@pytest.fixture(scope="module")
def lost_worker(tmp_path_factory):
    """A grid whose worker is killed in the midst of an epoch of the second cell; that cell's run as it then was."""
    place = Workplace(tmp_path_factory.mktemp("lost"))
    reached = place.folder / "reached"
    faults = with_faults(f"hang training epoch=4 mc_samples=1 once={reached}")
    sweep = place.start("-m", "mc_samples=1,2", *CELL, *POOL, "hydra.launcher.workers=1", environment=faults)
    wait_until(reached.exists, sweep)
    cell = only_cell(place, "K1-")
    os.kill(cell.owner.pid, signal.SIGKILL)
    _, errors = sweep.communicate(timeout=600)
    return place, sweep.returncode, errors, cell


@pytest.mark.slow
def test_a_cell_whose_worker_is_killed_is_continued_by_its_sweep(lost_worker):
    place, code, errors, before = lost_worker
    assert code == 0, errors
    assert "K=1 B=100 seed=0: the worker process ended with exit code -9 (SIGKILL). It is continued once" in errors
    assert errors.count("epochs done before: 0\n") == 2
    assert errors.count("epochs done before: 3\n") == 1
    assert "2 of 2 cells finished in" in errors
    assert [status for _, status in place.runs()] == ["FINISHED"] * 3
    assert only_cell(place, "K1-").run_id == before.run_id != ""


@pytest.mark.slow
def test_a_cell_whose_worker_is_killed_has_the_numbers_of_one_that_was_not(lost_worker, whole):
    place, *_ = lost_worker
    cell = only_cell(place, "K1-")
    assert numbers(place, cell.run_id) == whole[0]
    found = weights(cell.folder / schema.MODEL_FILE)
    for name, array in whole[1].items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_sweep_that_is_killed_is_taken_up_where_it_was(tmp_path):
    place = Workplace(tmp_path)
    grid = ("-m", "mc_samples=1,2,3,4,5", "checkpoint.every=1", *BRIEF)

    def finished() -> dict[Path, bytes]:
        return {cell.file: cell.file.read_bytes() for cell in place.cells() if cell.status == schema.FINISHED}

    hanging = tmp_path / "hanging"
    faults = with_faults(f"hang trained epoch=2 mc_samples=3 once={hanging}")
    sweep = place.start(*grid, *POOL, "hydra.launcher.workers=2", environment=faults)
    wait_until(lambda: hanging.exists() and len(finished()) >= 2, sweep)
    before = finished()
    sweep.kill()
    workers = {cell.owner.pid for cell in place.cells()}
    sweep.communicate(timeout=60)
    # Also the one whose cell hangs.
    wait_until(lambda: not any(map(psutil.pid_exists, workers)), seconds=60)
    assert only_cell(place, "K3-").note == "parent process ended"
    skipped = finished()
    assert before.items() <= skipped.items()
    assert len(skipped) < 5
    again = place.train(*grid)
    assert again.returncode == 0, again.stderr
    assert "5 of 5 cells finished in" in again.stderr
    assert f"{5 - len(skipped)} finished, {len(skipped)} skipped" in again.stderr
    assert skipped.items() <= finished().items()
    assert place.stored() == place.recorded()
    assert dict(place.query("select status, count(*) from runs group by status")) == {"FINISHED": 6, "KILLED": 1}
    (study, *_) = place.runs()
    assert study[1] == "KILLED"
    assert "died unexpectedly" in place.pairs("tags", study[0])[schema.NOTE]
    assert [len(list(cell.folder.parent.glob("[0-9]*"))) for cell in place.cells()] == [1] * 5
