"""A run's own file: what survives a crash in the middle of a line, and who may go on with it."""

import errno
import json
import math
import platform
import subprocess
import sys
import time
from pathlib import Path

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


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda lines: [lines[0], lines[2]], "line 2 is event 3"),  # a line is missing
        (lambda lines: [lines[0], lines[1].replace(b"1.0", b"7.0"), lines[2]], "line 2 does not match its checksum"),
        (lambda lines: [lines[0], bytes(len(lines[1]) - 1) + b"\n", lines[2]], "damaged"),  # NULs
        (lambda lines: [lines[0], b"7\n", lines[2]], "line 2 is no event"),
        (lambda lines: [lines[0], b'{"event": "metrics", "time": "noon"}\n', lines[2]], "damaged"),
        (lambda lines: lines[1:], "line 1 is event 2"),
        (lambda lines: [b'{"event": "end", "time": 1}\n'], "line 1 is no event"),
    ],
)
def test_a_ledger_that_is_not_what_was_written_is_left_out_by_name(runs, caplog, damage, reason):
    written = begin(runs)
    for step in (1, 2):
        written.append(ledger.METRICS, step=step, metrics={"x": float(step)})
    written.file.write_bytes(b"".join(damage(written.file.read_bytes().splitlines(keepends=True))))
    assert runs.attempts(runs.home(Config(), "f" * 64)) == []
    assert reason in caplog.text
    assert str(written.file) in caplog.text


def test_a_last_line_torn_at_any_byte_is_no_event(runs):
    written = begin(runs)
    written.append(ledger.METRICS, step=1, metrics={"x": 1.0})
    content, last = written.file.read_bytes(), len(written.file.read_bytes().splitlines(keepends=True)[-1])
    for kept in range(last):
        written.file.write_bytes(content[: len(content) - last + kept])
        assert Ledger(written.folder).events == written.events[:1]


def test_lines_of_an_earlier_version_are_read_and_gone_on_with(runs):
    written = begin(runs)
    written.append(ledger.METRICS, step=1, metrics={"x": 1.0})
    plain = [{key: value for key, value in event.items() if key != "number"} for event in written.events]
    written.file.write_text("".join(f"{json.dumps(event)}\n" for event in plain))
    again = Ledger(written.folder)
    again.append(ledger.METRICS, step=2, metrics={"x": 2.0})
    assert Ledger(written.folder).recorded() == {("x", 1), ("x", 2)}


def test_a_disk_that_is_full_for_a_moment_damages_no_ledger(runs, monkeypatch):
    """What the failed write has left in the file is overwritten; an event counts once it is on the disk."""
    written = begin(runs)
    honest = ledger.os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ledger.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        written.append(ledger.METRICS, step=1, metrics={"lost": 1.0})
    monkeypatch.setattr(ledger.os, "fsync", honest)
    written.append(ledger.METRICS, step=1, metrics={"x": 1.0})
    again = Ledger(written.folder)
    assert again.events == written.events
    assert again.recorded() == {("x", 1)}


@pytest.mark.parametrize("text", ["", "[]", '{"events": 1', '{"events": 9, "key": "another", "run_id": "x"}', '"text"'])
def test_a_note_of_what_was_sent_that_says_nothing_sound_counts_as_nothing_sent(runs, text):
    written = begin(runs)
    (written.folder / ledger.SENT_FILE).write_text(text)
    assert written.sent == {}
    assert written.run_id == ""


def test_a_mark_that_another_process_removes_meanwhile_is_passed_over(runs, monkeypatch):
    begin(runs)
    honest = Path.read_text

    def removed(path, *arguments):
        path.unlink()
        return honest(path, *arguments)

    monkeypatch.setattr(Path, "read_text", removed)
    assert list(runs.unsent_ledgers()) == []


def test_a_clock_that_is_set_back_takes_no_time_from_a_run(runs, monkeypatch):
    clock = iter([1000.0, 1060.0, 500.0, 530.0])
    monkeypatch.setattr(ledger.time, "time", lambda: next(clock))
    written = begin(runs)
    for step in (1, 2):
        written.append(ledger.METRICS, step=step, metrics={"x": 1.0})
    written.append(ledger.END, status=schema.FINISHED, note="")
    assert written.seconds() == 60 + 30


def test_attempts_come_in_the_order_of_their_numbers(runs):
    for number in (1, 2, 10):
        begin(runs, number)
    home = runs.home(Config(), "f" * 64)
    assert [found.folder.name for found in runs.attempts(home)] == ["1", "2", "10"]
    assert runs.attempts(runs.home(Config(), "0" * 64)) == []
    assert home.name == "K1-B100-seed0-" + "f" * 12


def test_what_came_later_is_told_by_attempts_and_events_not_by_clocks(runs, monkeypatch):
    home = runs.home(Config(), "f" * 64)
    seen = [runs.progress(home)]
    for number, clock in ((1, 9000.0), (2, 1000.0)):
        monkeypatch.setattr(ledger.time, "time", lambda clock=clock: clock)
        written = begin(runs, number)
        seen.append(runs.progress(home))
        written.append(ledger.END, status=schema.FINISHED, note="")
        seen.append(runs.progress(home))
    assert seen == sorted(seen) == [[0, 0], [1, 1], [1, 2], [2, 1], [2, 2]]


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
