"""A run's own file: what survives a crash in the middle of a line, and who may go on with it."""

import json
import math
import platform
import subprocess
import sys
import time

import pytest
from filelock import Timeout

from src import schema
from src.config.settings import Config, TrackingConfig
from src.process import ProcessId
from src.recording import ledger
from src.recording.ledger import Ledger, Runs, held


@pytest.fixture
def runs(tmp_path):
    return Runs(TrackingConfig(runs=str(tmp_path / "runs")))


def begin(runs, number=1, fingerprint="f" * 64):
    return runs.begin(runs.home(Config(), fingerprint) / str(number), "K=1", None, {"mc_samples": 1}, {"a": "b"})


def dead():
    """The identity of a process that has been and is no more."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return ProcessId.own()._replace(pid=gone.pid, started=time.time())


def test_what_was_appended_is_read_back(runs):
    written = begin(runs)
    written.append(ledger.METRICS, step=1, metrics={"train/loss": 0.1 + 0.2})
    written.append(ledger.END, status=schema.FINISHED, note="")
    again = Ledger(written.folder)
    assert again.events == written.events
    assert again.of(ledger.METRICS)[0]["metrics"]["train/loss"] == 0.1 + 0.2
    assert again.recorded() == {("train/loss", 1)}
    assert (again.status, again.key) == (schema.FINISHED, written.key)


def test_a_line_torn_by_a_crash_is_cut_off_and_the_next_one_is_whole(runs):
    written = begin(runs)
    written.append(ledger.METRICS, step=1, metrics={"x": 1.0})
    with written.file.open("ab") as out:
        out.write(b'{"event": "metrics", "ti')
    again = Ledger(written.folder)
    assert again.events == written.events
    again.append(ledger.METRICS, step=2, metrics={"x": 2.0})
    lines = written.file.read_text().splitlines()
    assert [json.loads(line).get("step") for line in lines] == [None, 1, 2]


def test_a_damaged_line_in_the_middle_is_named(runs):
    written = begin(runs)
    written.append(ledger.END, status=schema.FINISHED, note="")
    lines = written.file.read_text().splitlines()
    written.file.write_text("\n".join([lines[0][:-5], lines[1], ""]))
    with pytest.raises(ValueError, match=r"ledger\.jsonl is damaged"):
        Ledger(written.folder)


def test_attempts_come_in_the_order_of_their_numbers(runs):
    for number in (1, 2, 10):
        begin(runs, number)
    home = runs.home(Config(), "f" * 64)
    assert [found.folder.name for found in runs.attempts(home)] == ["1", "2", "10"]
    assert runs.attempts(runs.home(Config(), "0" * 64)) == []
    assert home.name == "K1-B100-seed0-" + "f" * 12


def test_a_folder_holds_one_run(runs):
    begin(runs)
    with pytest.raises(FileExistsError):
        begin(runs)


def test_a_ledger_is_unsent_until_a_store_has_it_and_the_oldest_comes_first(runs):
    first, second = begin(runs, 1), begin(runs, 2)
    assert [found.key for found in runs.unsent_ledgers()] == [first.key, second.key]
    (runs.unsent / first.key).unlink()
    assert [found.key for found in runs.unsent_ledgers()] == [second.key]
    assert {found.key for found in runs.newest_first()} == {first.key, second.key}


def test_the_time_between_a_crash_and_its_resume_does_not_count(runs, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(ledger.time, "time", lambda: now[0])
    written = begin(runs)
    for moment, kind, content in (
        (1010, ledger.METRICS, {"step": 1, "metrics": {}}),
        (5000, ledger.RESUME, {"process": ProcessId.own()._asdict()}),
        (5003, ledger.METRICS, {"step": 2, "metrics": {}}),
    ):
        now[0] = moment
        written.append(kind, **content)
    now[0] = 5004
    assert written.seconds() == 14


def test_history_has_one_row_for_each_epoch_with_any_of_the_metrics(runs):
    written = begin(runs)
    written.append(ledger.METRICS, step=0, metrics={"probe/all/snr": 1.0})
    written.append(ledger.METRICS, step=1, metrics={"a": 1.0, "b": 2.0, "probe/all/snr": 3.0})
    written.append(ledger.METRICS, step=2, metrics={"a": 4.0, "b": 5.0})
    assert written.history(["a", "b"]) == [{"epoch": 1, "a": 1.0, "b": 2.0}, {"epoch": 2, "a": 4.0, "b": 5.0}]
    [first, second] = written.history(["a", "probe/all/snr"])[1:]
    assert (first["probe/all/snr"], second["a"]) == (3.0, 4.0)
    assert math.isnan(second["probe/all/snr"])


def test_the_last_value_of_every_metric(runs):
    written = begin(runs)
    for step in (1, 2):
        written.append(ledger.METRICS, step=step, metrics={"a": float(step)})
    written.append(ledger.METRICS, step=2, metrics={"b": 5.0})
    assert written.latest() == {"a": 2.0, "b": 5.0}


def test_a_process_is_alive_until_it_ends_and_not_by_its_number_alone():
    own = ProcessId.own()
    assert own.alive()
    assert not dead().alive()
    assert not own._replace(started=own.started - 100).alive()
    assert not own._replace(boot_id="another life").alive()
    assert own._replace(host="another machine", pid=2**30).alive()
    assert own.host == platform.node()


def test_a_home_is_held_by_one_process_until_it_dies(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from src.recording.ledger import held\n"
        f"with held(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Timeout), held(tmp_path, timeout=0):
        pass
    holder.kill()
    holder.communicate()
    with held(tmp_path, timeout=60):
        pass


def test_the_time_of_a_run_that_has_ended_stands_still(runs):
    written = begin(runs)
    written.append(ledger.END, status=schema.FINISHED, note="")
    seconds = written.seconds()
    time.sleep(0.05)
    assert written.seconds() == seconds


def test_whether_a_folder_is_held_can_be_asked(tmp_path):
    assert not ledger.is_held(tmp_path)
    with held(tmp_path):
        assert ledger.is_held(tmp_path)
    assert not ledger.is_held(tmp_path)
