"""Checkpoints: whole or not at all, and never the end of a run."""

import errno
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from src.recording import checkpoint
from src.recording.checkpoint import Checkpoint, Checkpointer

VALUES = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64), np.array([np.pi])]


def test_values_come_back_as_they_were_with_type_and_shape(tmp_path):
    checkpoint.save(tmp_path, Checkpoint(3, VALUES))
    found = checkpoint.load(tmp_path)
    assert found.epoch == 3
    for value, expected in zip(found.values, VALUES, strict=True):
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert checkpoint.load(tmp_path) is None


@pytest.mark.parametrize("damage", [lambda body: body[:-10], lambda body: body[:50] + b"x" + body[51:], lambda _: b""])
def test_a_damaged_checkpoint_falls_back_to_the_former_one_with_a_warning(tmp_path, caplog, damage):
    for epoch in (1, 2):
        checkpoint.save(tmp_path, Checkpoint(epoch, VALUES))
    path = tmp_path / checkpoint.FILE
    path.write_bytes(damage(path.read_bytes()))
    assert checkpoint.load(tmp_path).epoch == 1
    assert "is damaged" in caplog.text
    (tmp_path / checkpoint.FORMER_FILE).write_bytes(b"too")
    assert checkpoint.load(tmp_path) is None


@pytest.mark.parametrize("crash_at", [1, 2])
def test_a_crash_between_two_renames_leaves_a_whole_checkpoint(tmp_path, monkeypatch, crash_at):
    checkpoint.save(tmp_path, Checkpoint(1, VALUES))
    real, calls = Path.replace, []

    def crashing(*arguments):
        calls.append(arguments)
        if len(calls) == crash_at:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(Path, "replace", crashing)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, Checkpoint(2, VALUES))
    assert checkpoint.load(tmp_path).epoch == 1


def test_a_full_disk_leaves_the_former_checkpoint_and_lets_training_go_on(tmp_path, monkeypatch, caplog):
    variable = keras.Variable([1.0, 2.0])
    checkpointer = Checkpointer(tmp_path, "1", [variable])
    checkpointer.after(1)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    checkpointer.after(2)
    assert "No checkpoint after epoch 2" in caplog.text
    assert "No space left on device" in caplog.text
    assert checkpoint.load(tmp_path).epoch == 1
    assert not (tmp_path / checkpoint.UNFINISHED_FILE).exists()


def test_a_checkpointer_restores_what_it_has_saved(tmp_path):
    variable = keras.Variable([1.0, 2.0])
    Checkpointer(tmp_path, "2", [variable]).after(2)
    variable.assign([5.0, 6.0])
    assert Checkpointer(tmp_path, "2", [variable]).restore(2) == 2
    np.testing.assert_array_equal(np.asarray(variable), [1.0, 2.0])


@pytest.mark.parametrize(
    ("every", "seconds_per_epoch", "expected"), [("3", 100, [3, 6]), ("25s", 10, [3, 6]), ("1m", 10, [6])]
)
def test_it_saves_every_so_many_epochs_or_so_much_time(tmp_path, monkeypatch, every, seconds_per_epoch, expected):
    now, saved = [0.0], []
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "save", lambda folder, what: saved.append(what.epoch))
    checkpointer = Checkpointer(tmp_path, every, [])
    for epoch in range(1, 8):
        now[0] += seconds_per_epoch
        checkpointer.after(epoch)
    assert saved == expected


def test_what_has_ended_leaves_no_checkpoint(tmp_path):
    for epoch in (1, 2):
        checkpoint.save(tmp_path, Checkpoint(epoch, VALUES))
    checkpoint.discard_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_beyond_the_ledger_is_passed_over_for_the_one_before(tmp_path, caplog):
    for epoch in (1, 2):
        checkpoint.save(tmp_path, Checkpoint(epoch, VALUES))
    assert [getattr(checkpoint.load(tmp_path, recorded), "epoch", None) for recorded in (2, 1, 0)] == [2, 1, None]
    assert "is of epoch 2, the ledger ends at 1" in caplog.text


def test_a_checkpoint_of_another_cell_is_passed_over_but_not_that_of_a_folder_that_has_moved(tmp_path, caplog):
    one, other, moved = (tmp_path / name for name in ("runs/K1/1", "runs/K5/1", "elsewhere/K1/1"))
    for folder in (one, other, moved):
        folder.mkdir(parents=True)
    checkpoint.save(one, Checkpoint(1, VALUES))
    for folder in (other, moved):
        shutil.copy(one / checkpoint.FILE, folder)
    assert checkpoint.load(other) is None
    assert "is of another run, K1/1" in caplog.text
    assert checkpoint.load(moved).epoch == 1
