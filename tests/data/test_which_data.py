"""Runs are compared only where the values of their data are equal, whatever the files are called."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import store as stores
from analysis.compare.numbers import compare
from analysis.decision.numbers import decide
from analysis.report.__main__ import main
from analysis.statistics import SETTING, completeness
from analysis.store import B, K, Tables
from src import schema
from tests.commands import BRIEF, Workplace
from tests.stores import EXPERIMENT, Store


def write(file: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = (rng.integers(0, 256, (count, 3, 3), dtype=np.uint8) for count in (250, 120))
    np.savez(file, x_train=train, x_test=test)


def pairs(tables: Tables) -> dict[str, list[tuple[str, list[int]]]]:
    """By the digest of the data, the pairs of the contrasts: K, and the seeds."""
    found: dict[str, list[tuple[str, list[int]]]] = {}
    for each in decide(completeness.mark(tables), tables.history, {}).contrasts:
        seeds = [pair.seed for pair in each.pairs]
        found.setdefault(each.group[schema.DATA_DIGEST], []).append((str(each.level), seeds))
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Workplace, str]:
    """A grid over two files, then a study of one of them, with another content; what the grid's command said."""
    folder = tmp_path_factory.mktemp("data")
    place = Workplace(folder)
    for seed, name in enumerate("ab"):
        write(folder / f"{name}.npz", seed)
    both = f"data.path={folder}/a.npz,{folder}/b.npz"
    grid = place.train(*BRIEF, "-m", "data=npz", both, "mc_samples=1,5", "seed=0,1")
    assert grid.returncode == 0, grid.stderr
    write(folder / "a.npz", 2)
    later = place.train(*BRIEF, "-m", "data=npz", f"data.path={folder}/a.npz", "mc_samples=5,25", "seed=0,1")
    assert later.returncode == 0, later.stderr
    return place, grid.stdout + grid.stderr


def test_a_study_pairs_the_runs_of_each_file(trained):
    _, said = trained
    assert re.findall(r"n=(\d) pairs", said) == ["2", "2"]
    assert len(set(re.findall(r"data.digest=(npz-\w{12}) ", said))) == 2


def test_a_report_does_so_and_a_file_that_was_replaced_is_another(trained, tmp_path):
    place, _ = trained
    uri = f"sqlite:///{place.database}"
    tables = stores.read(uri, EXPERIMENT)
    found = pairs(tables)
    assert sorted(found.values()) == [[("1", [0, 1])], [("1", [0, 1])], [("5", [0, 1])]]
    unaware = Tables(tables.runs.drop(columns=schema.DATA_DIGEST), tables.history)
    mixed = decide(completeness.mark(unaware), unaware.history, {}).contrasts
    assert {each.level for each in mixed} == {1, 5}  # power: one setting, with K=5 of a twice
    assert main(["--store", uri, "--output", str(tmp_path), "--name", "which"]) == 0
    shared = stores.read(str(tmp_path / "which"), EXPERIMENT)
    assert "data.path" not in shared.runs
    assert pairs(shared) == found


def test_compare_does_so(trained):
    place, _ = trained
    tables = stores.read(f"sqlite:///{place.database}", EXPERIMENT)
    same = compare((tables, tables), schema.FINAL_TEST_NLL.key, 0.25, None)
    assert len(same.quality) == 6
    assert {(each.judgement.pairs.n, each.judgement.pairs.mean) for each in same.quality} == {(2, 0.0)}
    assert {each.group[schema.DATA_DIGEST] for each in same.quality} == set(tables.runs[schema.DATA_DIGEST])


def settings(store: Store) -> pd.Series:
    """By K, the number of the setting."""
    return completeness.mark(stores.read(store.uri, EXPERIMENT)).set_index(K)[SETTING]


def test_runs_from_before_the_digest_have_the_built_in_data_of_their_name(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0)
    store.record(5, 100, 0, params={schema.DATA_DIGEST: "mnist-1"})
    store.record(25, 100, 0, params={"data.name": "fashion_mnist"})
    store.record(2, 100, 0, params={"data.path": "one.npz"})
    store.record(3, 100, 0, params={"data.path": "two.npz"})
    store.record(4, 100, 0, params={"data.path": "one.npz", schema.DATA_DIGEST: "mnist-2"})
    found = settings(store)
    assert found[1] == found[5]
    assert found.drop(1).is_unique


def test_old_and_new_studies_of_the_built_in_data_are_compared(tmp_path):
    old, new = Store(tmp_path / "old"), Store(tmp_path / "new")
    for seed in range(3):
        old.record(5, 100, seed)
        new.record(5, 100, seed, params={schema.DATA_DIGEST: "mnist-1"})
    tables = tuple(stores.read(each.uri, EXPERIMENT) for each in (old, new))
    found = compare(tables, schema.FINAL_TEST_NLL.key, 0.25, None)
    assert found.differs == {}
    assert [(each.group[B], each.judgement.pairs.n) for each in found.quality] == [(100, 3)]
