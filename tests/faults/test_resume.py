"""Runs that are killed go on where they were, and end with the numbers and weights of a run that was not."""

import os
import re
import signal
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from src import schema
from src.recording import checkpoint, ledger
from tests.commands import BRIEF, ONE_THREAD, Workplace, wait_until, with_faults

pytestmark = pytest.mark.timeout(900)
# An optimizer with a state, a learning rate that changes and pixels that are drawn anew: all of it has to come back.
STATE = ("optimizer=adam", "learning_rate_schedule=burda", "data.pixels=dynamic", "evaluation.quadrature=false")
CELL = (*STATE, "epochs=7", "checkpoint.every=1", "probe.epochs=[0,3]")
FORKED = (*STATE, "epochs=5", "mc_samples=3", "fork.epochs=3", "model.hidden_dims=[16]", "model.latent_dim=3", BRIEF[0])
POOL = ("hydra/launcher=pool",)
METRICS = "select key, step, value, is_nan from metrics where run_uuid = ?"


class Kill(NamedTuple):
    """When a run is killed, and which of its checkpoints are damaged then."""

    fault: str
    damaged: tuple[str, ...] = ()


def begun(said: str) -> list[int]:
    """The epochs that were done whenever training began."""
    return [int(done) for done in re.findall(r"epochs done before: (\d)\n", said)]


def run(place: Workplace, cell: tuple[str, ...], *kills: Kill) -> list[str]:
    """Start a cell again and again until nothing kills it; what every start has said."""
    said = []
    for kill in (*kills, None):
        faults = [kill.fault] if kill else []
        done = place.train(*cell, environment={**ONE_THREAD, **with_faults(*faults)})
        assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
        assert ("is continued (" in done.stderr) == bool(said)
        said.append(done.stderr)
        for name in kill.damaged if kill else ():
            damage(place.only_cell().folder / name)
    return said


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The outcome of the cell that nothing interrupts."""
    place = Workplace(tmp_path_factory.mktemp("whole"))
    run(place, CELL)
    return place.outcome()


KILLS = [
    Kill("tear writing epoch=2"),
    Kill("kill training epoch=4", (checkpoint.FILE, checkpoint.FORMER_FILE)),
    Kill("kill renaming epoch=5"),
    Kill("kill saved epoch=6", (checkpoint.FILE,)),
    Kill("kill ending"),
]


def test_a_run_that_is_killed_five_times_is_one_run_with_the_outcome_of_a_whole_one(tmp_path, whole):
    place = Workplace(tmp_path)
    said = run(place, CELL, *KILLS)
    assert list(map(begun, said)) == [[0], [1], [0], [4], [5], [7]]
    assert [text.count("is damaged") for text in said] == [0, 0, 2, 0, 1, 0]
    assert place.outcome() == whole
    ((run_id, status),) = place.runs()
    tags = place.pairs("tags", run_id)
    assert (status, tags[schema.STATUS], tags.get(schema.NOTE, "")) == ("FINISHED", schema.FINISHED, "")
    cell = place.only_cell()
    kinds = [event["event"] for event in cell.events]
    assert (kinds.count(ledger.START), kinds.count(ledger.RESUME)) == (1, len(KILLS))
    deaths = [event["note"] for event in cell.events if event.get("status") == schema.KILLED]
    assert len(deaths) == len(KILLS)
    assert all("died unexpectedly" in note for note in deaths)
    assert not list(cell.folder.glob("checkpoint*"))


def test_a_run_whose_last_line_is_torn_has_all_rows_of_one_that_was_not(tmp_path, whole):
    """The last checkpoint is of an epoch whose row is lost: the run goes on from the one before."""
    place = Workplace(tmp_path)
    fault = with_faults("kill saved epoch=4")
    assert place.train(*CELL, environment={**ONE_THREAD, **fault}).returncode == -signal.SIGKILL
    file = place.only_cell().file
    file.write_bytes(file.read_bytes()[:-40])
    said = place.train(*CELL, environment={**ONE_THREAD, **with_faults()})
    assert said.returncode == 0, said.stderr
    assert "is of epoch 4, the ledger ends at 3" in said.stderr
    assert begun(said.stderr) == [3]
    cell = place.only_cell()
    rows = [(key, event["step"]) for event in cell.of(ledger.METRICS) for key in event["metrics"]]
    assert len(rows) == len(set(rows)) == len(cell.recorded())
    assert cell.recorded() >= set(whole[0])
    # The store may have the lost row too, sent before the crash: the same numbers at another time.
    stored = {(key, step): (value, is_nan) for key, step, value, is_nan in place.query(METRICS, cell.run_id)}
    assert {at: value for at, value in stored.items() if at in whole[0]} == whole[0]


def test_a_cell_whose_worker_is_killed_is_continued_by_its_sweep(tmp_path, whole):
    place, reached = Workplace(tmp_path), tmp_path / "reached"
    faults = with_faults(f"hang training epoch=4 mc_samples=1 once={reached}")
    sweep = place.start("-m", "mc_samples=1,2", *CELL, *POOL, "hydra.launcher.workers=1", environment=faults)
    wait_until(reached.exists, sweep)
    before = place.only_cell("K1-")
    os.kill(before.owner.pid, signal.SIGKILL)
    _, errors = sweep.communicate(timeout=600)
    assert sweep.returncode == 0, errors
    assert "K=1 B=100 seed=0: the worker process ended with exit code -9 (SIGKILL). It is continued once" in errors
    assert sorted(begun(errors)) == [0, 0, 3]
    assert "2 of 2 cells finished in" in errors
    assert [status for _, status in place.runs()] == ["FINISHED"] * 3
    assert place.only_cell("K1-").run_id == before.run_id != ""
    assert place.outcome("K1-") == whole


@pytest.fixture(scope="module")
def whole_fork(tmp_path_factory):
    """The outcome of the forked cell that nothing interrupts."""
    place = Workplace(tmp_path_factory.mktemp("whole"))
    (said,) = run(place, FORKED)
    assert begun(said) == [0, 3]
    return place.outcome()


def test_a_forked_run_that_is_killed_in_its_trunk_at_its_end_and_after_it(tmp_path, whole_fork):
    kills = map(Kill, ("kill training epoch=2", "kill saved epoch=3", "kill training epoch=5"))
    place = Workplace(tmp_path)
    said = run(place, (*FORKED, "checkpoint.every=1"), *kills)
    # After the second death, the trunk is done but its digest is not recorded: its training begins with nothing to do.
    assert list(map(begun, said)) == [[0], [1], [3, 3], [4]]
    assert place.outcome() == whole_fork


def test_a_forked_run_that_is_killed_without_a_checkpoint_goes_on_from_the_kept_trunk(tmp_path, whole_fork):
    place = Workplace(tmp_path)
    said = run(place, (*FORKED, "checkpoint.every=1000"), Kill("kill training epoch=4"))
    assert list(map(begun, said)) == [[0, 3], [3]]
    assert "takes its trunk from" in said[1]
    assert place.outcome() == whole_fork


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
    assert place.only_cell("K3-").note == "parent process ended"
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
