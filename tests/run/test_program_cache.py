"""Compiled programs on disk: the same numbers with and without, whatever happens to the files."""

import os
import types

import psutil
import pytest

from src.recording import is_held
from src.run import program_cache
from tests.commands import CLOCKED, Workplace

CELL = ("mc_samples=2", "probe.epochs=[1]", "epochs=1")


def numbers(place: Workplace) -> list[str]:
    """The metrics of the only run, without those that a clock has made."""
    ((status, metrics),) = place.recorded().values()
    assert status == "finished"
    return [line for line in metrics if line.split()[0] not in CLOCKED]


def run(folder, cache, *overrides: str) -> list[str]:
    """The numbers of a run with a store and a cache of its own."""
    place = Workplace(folder)
    done = place.train(*CELL, *overrides, environment={"XDG_CACHE_HOME": str(cache)})
    assert done.returncode == 0, done.stderr
    assert "text-format" not in done.stderr
    return numbers(place)


def entries(cache) -> list:
    return sorted((cache / "vae-mc-samples" / "programs").glob("*/*.pb"))


@pytest.fixture(scope="module")
def cold(tmp_path_factory):
    """A cache that one run has filled, and the run's numbers."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, run(tmp_path_factory.mktemp("cold"), cache)


def test_numbers_are_the_same_without_a_cache_and_from_one(cold, tmp_path):
    cache, expected = cold
    made = entries(cache)
    assert len(made) >= 4  # epoch, scores, probe, loss noise
    assert all(program_cache.seal_of(entry).exists() for entry in made)
    assert run(tmp_path / "warm", cache) == expected
    assert entries(cache) == made
    assert run(tmp_path / "none", tmp_path / "unused", "compile_cache=false") == expected
    assert not entries(tmp_path / "unused")


def test_a_damaged_entry_is_compiled_again(cold, tmp_path):
    cache, expected = cold
    damaged = max(entries(cache), key=lambda entry: entry.stat().st_size)
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    assert run(tmp_path / "again", cache) == expected
    assert len(damaged.read_bytes()) > len(content) // 2
    # Power: an entry is read where its seal is right, so the same damage with a seal fails the run.
    damaged.write_bytes(content[: len(content) // 2])
    program_cache.seal_of(damaged).write_text(program_cache.checksum(damaged))
    done = Workplace(tmp_path / "sealed").train(*CELL, environment={"XDG_CACHE_HOME": str(cache)})
    assert done.returncode == 1
    damaged.unlink()


def test_processes_that_fill_a_cache_at_the_same_time_do_not_disturb_each_other(cold, tmp_path):
    places = [Workplace(tmp_path / name) for name in "ab"]
    for place in places:
        place.folder.mkdir()
    under_way = [place.start(*CELL, environment={"XDG_CACHE_HOME": str(tmp_path / "new")}) for place in places]
    assert [process.communicate()[1] and process.returncode for process in under_way] == [0, 0]
    assert numbers(places[0]) == numbers(places[1]) == cold[1]


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
