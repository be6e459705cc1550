"""Compiled programs on disk: which are kept, and where."""

import os
import types

import psutil

from src.recording import is_held
from src.run import program_cache


def test_entries_that_cannot_be_trusted_and_the_oldest_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(program_cache, "MOST_ENTRIES", 3)
    now = psutil.boot_time() + 100
    names = ["sealed", "fresh", "broken", "unsealed before the start", "older", "oldest"]
    for age, name in enumerate(names):
        entry = tmp_path / f"{name}.pb"
        entry.write_text(name)
        os.utime(entry, (now - age, now - age))
    for name in ("sealed", "broken", "older", "oldest"):
        entry = tmp_path / f"{name}.pb"
        program_cache.seal_of(entry).write_text(program_cache.checksum(entry))
    (tmp_path / "broken.pb").write_text("something else")
    os.utime(tmp_path / "broken.pb", (now - 2, now - 2))
    os.utime(tmp_path / "unsealed before the start.pb", (now - 200, now - 200))
    program_cache.clean(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"sealed.pb", "sealed.sha256", "fresh.pb"}


def test_one_process_at_a_time_removes_entries(tmp_path, monkeypatch):
    held = []
    monkeypatch.setattr(program_cache, "clean", lambda place: held.append(is_held(place)))
    assert program_cache.prepared(tmp_path / "programs")
    assert held == [True]
    assert not is_held(tmp_path / "programs")


def test_a_folder_that_cannot_be_used_is_said_and_does_without(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setattr(program_cache, "folder", lambda: tmp_path / "file" / "programs")
    monkeypatch.setattr(program_cache, "sys", types.SimpleNamespace(modules={}))
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    with caplog.at_level("INFO"):
        program_cache.use()
    assert os.environ["TF_XLA_FLAGS"] == ""
    assert "Compiled programs are not kept" in caplog.text
    monkeypatch.setattr(program_cache, "folder", lambda: tmp_path / "programs")
    program_cache.use()
    assert str(tmp_path / "programs") in os.environ["TF_XLA_FLAGS"]


def test_another_processor_setting_or_version_has_another_folder(monkeypatch):
    first = program_cache.folder.__wrapped__()
    assert program_cache.folder.__wrapped__() == first
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    second = program_cache.folder.__wrapped__()
    monkeypatch.setattr(program_cache, "package_version", lambda _: "0")
    third = program_cache.folder.__wrapped__()
    monkeypatch.setattr(program_cache, "cpu_info", lambda _: "no features")
    assert len({first, second, third, program_cache.folder.__wrapped__()}) == 4
