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
from src import data, schema
from src.config import DataConfig
from tests.commands import BRIEF, Workplace
from tests.data import npz_files
from tests.idx_files import TEST, write_folder, write_idx
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


@pytest.mark.parametrize("name", ["idx", "npz"])
def test_a_digest_is_that_of_the_images_not_of_their_place_or_packing(tmp_path, name):
    def digest(place: str, packed: bool, images: np.ndarray) -> str:
        folder = tmp_path / place
        if name == "npz":
            path = npz_files.write(folder, np.savez_compressed if packed else np.savez, x_test=images)
        else:
            path = write_folder(folder, ".gz" if packed else "")
            write_idx(folder, "test_images", images, ".gz" if packed else "")
        return data.digest(DataConfig(name=name, path=str(path)))

    first = digest("a", False, TEST)
    assert first == digest("b", True, TEST)
    assert first != digest("a", False, TEST[::-1])  # replaced under its name
    assert first == digest("a", False, TEST)


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


def test_studies_of_two_data_sets_are_not_compared(tmp_path):
    studies = []
    for name in ("npz-1", "npz-2"):
        studies.append(Store(tmp_path / name))
        for seed in range(3):
            studies[-1].record(5, 100, seed, params={"data.name": "npz", schema.DATA_DIGEST: name})
    tables = tuple(stores.read(each.uri, EXPERIMENT) for each in studies)
    with pytest.raises(stores.ReportError, match=r"not the same: data\.digest"):
        compare(tables, schema.FINAL_TEST_NLL.key, 0.25, None)


def of_factories(store: Store, **codes: str) -> Tables:
    """Runs of K=1 of a factory, and of K=5 with this code of it."""
    for seed in range(4):
        store.record(1, 100, seed, params={"model.factory": "own:build", schema.FACTORY_CODE: "old"})
        for factory, code in codes.items():
            store.record(5, 100, seed, params={"model.factory": f"own:{factory}", schema.FACTORY_CODE: code})
    return stores.read(store.uri, EXPERIMENT)


@pytest.mark.parametrize(("code", "pairs"), [("old", [4]), ("new", [])])
def test_runs_of_a_factory_whose_code_has_changed_are_not_pairs(tmp_path, code, pairs):
    tables = of_factories(Store(tmp_path / "store"), build=code)
    shared = stores.shareable(tables)
    for each in (tables, shared):
        found = decide(completeness.mark(each), each.history, {}).contrasts
        assert [contrast.judgement.pairs.n for contrast in found] == pairs


def test_factories_are_compared_whatever_their_code(tmp_path):
    tables = of_factories(Store(tmp_path), build="old", other="new")
    design = {"factor": "model.factory", "reference": "own:build"}
    (found,) = decide(completeness.mark(tables), tables.history, design).contrasts
    assert (found.level, found.judgement.pairs.n) == ("own:other", 4)
