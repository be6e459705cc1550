"""What goes wrong in a sweep: the other cells finish, nothing is lost or run twice, the message says what happened."""

import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from src import schema
from src.recording import ledger
from src.recording.ledger import Ledger
from tests.cluster import free_port, mlflow_server
from tests.commands import BRIEF, Workplace, wait_until, with_faults

KEPT = (*BRIEF, "checkpoint.every=1")
REFUSED = "The store does not take what is recorded"
pytestmark = pytest.mark.timeout(900)


class Lines(threading.Thread):
    """What a command prints to its standard error, while it does."""

    def __init__(self, command: subprocess.Popen[str]):
        super().__init__(daemon=True)
        self.command, self.text = command, ""
        self.start()

    def run(self) -> None:
        for line in self.command.stderr:
            self.text += line

    def ended(self, seconds: float = 240) -> int:
        """The exit code, once all has been read."""
        code = self.command.wait(seconds)
        self.join(seconds)
        self.command.stdout.close()
        self.command.stderr.close()
        return code


def train_beside_a_lock(place: Workplace, enough: Callable[[Lines], object]) -> tuple[list[tuple], str]:
    """Train while another program keeps the database to itself, from epoch 3 until all is trained and it is enough.

    Returns the last epoch that the store had by then, and what the command printed.
    """
    first, last = place.folder / "first", place.folder / "last"
    faults = with_faults(f"wait trained epoch=3 gone={first}", f"wait ending gone={last}")
    command = place.start("epochs=20", *KEPT, environment=faults)
    lines = Lines(command)
    wait_until(first.exists, command)
    wait_until(lambda: place.query("select 1 from metrics where step = 2"), command)
    with closing(sqlite3.connect(place.database, timeout=60)) as other:
        other.execute("begin exclusive")
        first.unlink()
        wait_until(last.exists, command)
        wait_until(lambda: enough(lines), command)
        had = place.query("select max(step) from metrics")
        other.rollback()
    last.unlink()
    assert lines.ended() == 0, lines.text
    return had, lines.text


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A place where the database was locked until the last epoch was recorded, and the last epoch that it then had."""
    place = Workplace(tmp_path_factory.mktemp("locked"))
    return place, train_beside_a_lock(place, lambda _: True)[0]


def test_training_does_not_wait_for_a_locked_database(locked):
    place, had = locked
    assert had == [(2,)]
    assert place.stored() == place.recorded()
    assert [status for _, status in place.runs()] == ["FINISHED"]


@pytest.mark.slow
def test_a_database_that_is_locked_for_longer_than_it_is_waited_for_gets_everything_later(tmp_path):
    place = Workplace(tmp_path)
    had, said = train_beside_a_lock(place, lambda lines: REFUSED in lines.text)
    assert had == [(2,)]
    assert "database is locked" in said
    assert place.stored() == place.recorded()


def test_a_run_that_is_over_stays_finished_when_it_is_ended_while_it_waits_for_its_store(tmp_path):
    place = Workplace(tmp_path)
    gate = tmp_path / "gate"
    command = place.start(*KEPT, environment=with_faults(f"wait ending gone={gate}"))
    wait_until(gate.exists, command)
    wait_until(lambda: place.query("select 1 from metrics where step = 2"), command)
    with closing(sqlite3.connect(place.database, timeout=60)) as other:
        other.execute("begin exclusive")
        gate.unlink()
        wait_until(lambda: [cell.status for cell in place.cells()] == [schema.FINISHED], command)
        command.terminate()
        _, errors = command.communicate(timeout=60)
        other.rollback()
    assert command.returncode == 128 + signal.SIGTERM, errors
    assert [cell.status for cell in place.cells()] == [schema.FINISHED]
    assert place.sync().returncode == 0
    assert [status for _, status in place.runs()] == ["FINISHED"]
    assert place.stored() == place.recorded()


# What goes wrong in which cell, by its seed.
FAULTS = {
    0: "hang training epoch=2",
    1: "raise trained epoch=2",
    2: "nan training epoch=2",
    3: "full saving epoch=1",
    5: "kill training epoch=2 once={folder}/once",
    6: "exit trained epoch=2",
}
ENDINGS = {
    0: (schema.KILLED, r"over its time limit of (\d+m)?\d+s$"),
    1: (schema.FAILED, "RuntimeError: a fault that was put in"),
    2: (schema.DIVERGED, "Diverged: the loss is not finite in epoch 2"),
    3: (schema.FINISHED, "$"),
    4: (schema.FINISHED, "$"),
    5: (schema.FINISHED, "$"),
    6: (schema.KILLED, "the worker process ended with exit code 3"),
}
MLFLOW = {schema.FINISHED: "FINISHED", schema.KILLED: "KILLED"}


def ledgers_of(place: Workplace, seed: int) -> list[Ledger]:
    """Of the attempts at a cell, in their order."""
    return sorted(place.cells(f"K1-B100-seed{seed}-"), key=lambda found: found.folder.name)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, locked):
    """A sweep in which all goes wrong at once, and the same command again where nothing does.

    Returns the place, what the first command printed, the (run id, MLflow status, tags) that it left by seed, and what
    the second command printed.
    """
    place, (quick, _) = Workplace(tmp_path_factory.mktemp("faulty")), locked
    # Several times what a cell takes here and now: the first one of a worker imports TensorFlow too.
    seconds = quick.history(quick.runs()[0][0])[schema.RUN_SECONDS.key, 20]
    limit = round(20 + 4 * seconds)
    grid = ("-m", "seed=range(0,7)", *KEPT)
    pool = ("hydra/launcher=pool", "hydra.launcher.workers=2", f"hydra.launcher.time_limit={limit}s")
    faults = (f"{fault} seed={seed}".format(folder=place.folder) for seed, fault in FAULTS.items())
    first = place.train(*grid, *pool, environment=with_faults(*faults), timeout=600)
    left = {}
    for seed in ENDINGS:
        (found,) = ledgers_of(place, seed)
        left[seed] = (found.run_id, dict(place.runs())[found.run_id], place.pairs("tags", found.run_id))
    again = place.train(*grid, timeout=600)
    return place, first, left, again


@pytest.mark.parametrize("seed", ENDINGS)
def test_every_cell_of_a_faulty_sweep_has_its_own_ending(faulty, seed):
    _, first, left, _ = faulty
    status, note = ENDINGS[seed]
    run_id, mlflow_status, tags = left[seed]
    (line,) = re.findall(rf"^{status} +seed={seed} +run {run_id} *(.*)", first.stderr, re.MULTILINE)
    assert line == tags.get(schema.NOTE, "")
    assert re.match(note, line)
    assert tags[schema.STATUS] == status
    assert mlflow_status == MLFLOW.get(status, "FAILED")


def test_a_faulty_sweep_says_how_many_cells_did_not_finish(faulty):
    _, first, _, _ = faulty
    assert first.returncode == 1, first.stderr
    assert "3 of 7 cells finished in" in first.stderr
    assert "3 finished, 1 failed, 1 diverged, 2 killed" in first.stderr


def test_a_cell_that_raised_keeps_its_traceback(faulty):
    place, _, left, _ = faulty
    (file,) = place.folder.glob(f"mlruns/*/{left[1][0]}/artifacts/{schema.TRACEBACK_FILE}")
    assert "RuntimeError: a fault that was put in" in file.read_text()


def test_a_cell_that_died_is_continued_once_in_the_same_run(faulty):
    place, first, *_ = faulty
    died = [line for line in first.stderr.splitlines() if "It is continued once, from its last checkpoint" in line]
    told = re.findall(r"seed=(\d): the worker process ended with exit code ([^.]*)\.", "\n".join(died))
    assert sorted(told) == [("5", "-9 (SIGKILL)"), ("6", "3")]
    counts = {seed: [event["event"] for event in ledgers_of(place, seed)[0].events] for seed in (5, 6)}
    assert counts[5].count(ledger.RESUME) == 1
    # Once by its sweep, once by the second command.
    assert counts[6].count(ledger.RESUME) == 2


def test_a_full_disk_at_a_checkpoint_costs_the_checkpoint_alone(faulty):
    _, first, _, _ = faulty
    assert "No checkpoint after epoch 1 ([Errno 28] No space left on device)" in first.stderr


def test_a_second_command_runs_what_did_not_finish_and_nothing_else(faulty):
    place, _, left, again = faulty
    assert again.returncode == 0, again.stderr
    assert "7 of 7 cells finished in" in again.stderr
    assert "4 finished, 3 skipped" in again.stderr
    # What was killed goes on as the same run; what failed or diverged is begun anew, as another one.
    assert [len(ledgers_of(place, seed)) for seed in ENDINGS] == [1, 2, 2, 1, 1, 1, 1]
    for seed in (0, 6):
        assert ledgers_of(place, seed)[0].run_id == left[seed][0]
    assert place.stored() == place.recorded()
    assert not place.query("select 1 from runs where status = 'RUNNING'")
    finished = place.query(
        "select value from tags join runs using (run_uuid) where status = 'FINISHED' and key = ?", schema.FINGERPRINT
    )
    assert len(set(finished)) == len(finished) == 7


def test_what_is_never_continued_keeps_no_checkpoint(faulty):
    place = faulty[0]
    assert {found.status for found in place.cells()} == {schema.FINISHED, schema.FAILED, schema.DIVERGED}
    assert not list(place.runs_folder.glob("*/*/checkpoint*"))


# Which bytes of the database are overwritten: a share of the file, or the first page of a table.
DAMAGES = {"the start": (0, 0.01), "the middle": (0.3, 0.7), "the runs": "runs", "the tags": "tags"}


@pytest.mark.parametrize("part", DAMAGES)
def test_a_damaged_database_is_one_clear_message_and_the_ledgers_stay(faulty, tmp_path, part):
    shutil.copytree(faulty[0].folder, tmp_path / "place")
    place = Workplace(tmp_path / "place")
    before = {found.file: found.file.read_bytes() for found in place.ledgers()}
    overwrite(place.database, DAMAGES[part])
    done = place.train("-m", "seed=range(0,9)", *KEPT)
    assert done.returncode == 2, done.stderr
    assert "The store cannot be opened" in done.stderr
    assert f"Received: tracking.uri=sqlite:///{place.database}" in done.stderr
    assert "`python -m src.sync` makes a new store from them" in done.stderr
    assert "Traceback" not in done.stderr
    assert {found.file: found.file.read_bytes() for found in place.ledgers()} == before


def overwrite(database: Path, part: tuple[float, float] | str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        ((bytes_per_page,),) = connection.execute("pragma page_size")
        roots = dict(connection.execute("select name, rootpage from sqlite_master"))
    size = database.stat().st_size
    if isinstance(part, str):
        first = (roots[part] - 1) * bytes_per_page
        last = first + bytes_per_page
    else:
        first, last = (round(size * share) for share in part)
    with database.open("r+b") as file:
        file.seek(first)
        file.write(b"\xff" * (last - first))


def test_a_lost_database_is_made_again_from_the_ledgers(faulty, tmp_path):
    place = faulty[0]
    again = Workplace(tmp_path)
    again.runs_folder = shutil.copytree(place.runs_folder, tmp_path / "copy")
    done = again.sync()
    assert done.returncode == 0, done.stderr
    assert again.stored() == place.stored() == place.recorded()
    names = "select tags.value, status from runs join tags using (run_uuid) where key = ? order by 1, 2"
    for key in (schema.RUN_NAME, schema.FINGERPRINT):
        assert again.query(names, key) == place.query(names, key) != []


class Server:
    """MLflow's server on a port of its own, with its store and its artifacts in a folder; it can be ended and back."""

    def __init__(self, folder: Path):
        self.folder, self.port, self.running = folder, free_port(), ExitStack()
        self.start()

    def start(self) -> None:
        store = f"sqlite:///{self.folder / 'mlflow.db'}"
        self.uri = self.running.enter_context(mlflow_server(store, self.folder, self.port))

    def stop(self) -> None:
        self.running.close()


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    started = Server(tmp_path)
    yield started
    started.stop()


def train_without_server(place: Workplace, server: Server, *overrides: str) -> Lines:
    """Train while the server is gone, from epoch 2 of seed 0 on; returns once that has been noticed."""
    gate = place.folder / "gate"
    faults = with_faults(f"wait trained epoch=2 seed=0 gone={gate}", f"wait ending seed=0 gone={place.folder}/last")
    command = place.start(f"tracking.uri={server.uri}", *KEPT, "epochs=3", *overrides, environment=faults)
    lines = Lines(command)
    wait_until(gate.exists, command)
    wait_until(lambda: place.query("select 1 from metrics where step = 1"), command)
    server.stop()
    gate.unlink()
    wait_until(lambda: REFUSED in lines.text, command)
    wait_until((place.folder / "last").exists, command)
    return lines


@pytest.mark.slow
def test_what_is_trained_while_the_server_is_gone_for_a_minute_arrives_when_it_is_back(tmp_path, server):
    place = Workplace(tmp_path)
    lines = train_without_server(place, server, "-m", "seed=0,1")
    time.sleep(60)
    server.start()
    wait_until(lambda: place.query("select 1 from metrics where step = 3"), lines.command)
    (tmp_path / "last").unlink()
    assert lines.ended() == 0, lines.text
    assert "2 of 2 cells finished in" in lines.text
    assert "Traceback" not in lines.text
    assert place.stored() == place.recorded()
    assert [status for _, status in place.runs()] == ["FINISHED"] * 3
    for run_id, _ in place.runs()[1:]:
        files = {path.name for path in (tmp_path / "artifacts").glob(f"*/{run_id}/artifacts/*")}
        assert files >= {schema.CONFIG_FILE, schema.HISTORY_FILE, schema.MANIFOLD_FILE}


@pytest.mark.slow
def test_a_server_that_does_not_come_back_is_brought_up_to_date_later(tmp_path, server):
    place = Workplace(tmp_path)
    lines = train_without_server(place, server)
    (tmp_path / "last").unlink()
    assert lines.ended() == 0, lines.text
    assert "finished in" in lines.text
    assert "It is sent at the next start, or by `python -m src.sync`" in lines.text
    assert [status for status, _ in place.recorded().values()] == [schema.FINISHED]
    server.start()
    assert place.stored() != place.recorded()
    done = place.sync(f"uri={server.uri}")
    assert done.returncode == 0, done.stderr
    assert place.stored() == place.recorded()
    assert [status for _, status in place.runs()] == ["FINISHED"]


@pytest.mark.slow
def test_two_sweeps_at_once_share_their_cells(tmp_path):
    """Eight workers begin in the same second, on a store that is not there yet."""
    place = Workplace(tmp_path)
    pool = ("hydra/launcher=pool", "hydra.launcher.workers=4", *KEPT)
    sweeps = [place.start("-m", f"seed=range({first},{first + 6})", *pool) for first in (0, 2)]
    ended = [sweep.communicate(timeout=600) for sweep in sweeps]
    for sweep, (_, errors) in zip(sweeps, ended, strict=True):
        assert sweep.returncode == 0, errors
        assert "6 of 6 cells finished in" in errors
    assert len(list(place.runs_folder.glob("studies/[0-9]*"))) == 2
    assert [len(ledgers_of(place, seed)) for seed in range(8)] == [1] * 8
    assert [status for _, status in place.runs()] == ["FINISHED"] * 10
    assert place.stored() == place.recorded()
    assert place.query("pragma integrity_check") == [("ok",)]
