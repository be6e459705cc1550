"""Runs with compiled programs from disk: the same numbers with and without, whatever happens to the files."""

import pytest

from src.run import program_cache
from tests.commands import Workplace

CELL = ("mc_samples=2", "probe.epochs=[1]", "epochs=1")


def numbers(place: Workplace) -> dict[tuple[str, int], tuple[float, int]]:
    """Those of the only run."""
    ((run_id, status),) = place.runs()
    assert status == "FINISHED"
    return place.numbers(run_id)


def run(folder, cache, *overrides: str) -> dict[tuple[str, int], tuple[float, int]]:
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
