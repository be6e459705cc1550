"""Settings are kept apart, repeats are no seeds, and nothing that failed is dropped."""

import pandas as pd
import pytest

from analysis import store as stores
from analysis.curves import results_by_cell
from analysis.report.runs import lost_table
from analysis.statistics import COUNTED, SETTING
from analysis.statistics.completeness import count, lost, missing, select_sweeps, setting_params, varying
from analysis.store import RUN, ReportError
from src import schema
from tests.analysis.marked import marked
from tests.stores import EXPERIMENT, Store, Study, study


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return marked(study())[0]


def read(store: Store) -> pd.DataFrame:
    return marked(store)[0]


def counts(runs: pd.DataFrame, setting: int, k: int, b: int) -> dict[str, int]:
    """What a cell counts, without its zeros."""
    row = count(runs).set_index([SETTING, *RUN[:2]]).loc[(setting, k, b)]
    return {name: n for name, n in row.items() if n}


def test_what_the_nll_is_and_every_other_parameter_makes_a_setting(runs):
    assert varying(runs)[0] == schema.NLL_KIND
    assert "data.pixels" in varying(runs)
    kinds = runs.groupby(SETTING)[schema.NLL_KIND].unique().map(list).to_dict()
    assert kinds == {1: [schema.PSEUDO_NLL], 2: [schema.TRUE_NLL]}


def test_places_names_and_seeds_make_no_setting_but_the_numerics_do(tmp_path):
    store = Store(tmp_path)
    for number, place in enumerate(("here", "there")):
        places = dict.fromkeys(("data.path", "tracking.uri", "model.name"), place)
        run_id = store.record(1, 100, number, params={**places, schema.DATA_DIGEST: "mnist-1"})
    runs = read(store)
    assert varying(runs) == []
    assert set(runs[SETTING]) == {1}
    store.client.set_tag(run_id, "numerics", "2")
    assert set(read(store)[SETTING]) == {1, 2}


def test_what_a_study_lets_vary_with_k_makes_no_setting_where_k_determines_it(tmp_path):
    def differing(name: str, rates: str, covarying: str) -> list[str]:
        """Of K = 1 for 50 epochs, at these learning rates, beside K = 5 for 10."""
        store = Store(tmp_path / name)
        for k, epochs, rate in [(1, "50", rate) for rate in rates] + [(5, "10", "2")]:
            params = {"epochs": epochs, "learning_rate": rate, "study.covarying": covarying}
            store.record(k, 100, 0, params=params, tags={schema.MACHINERY: "study.covarying"})
        return varying(read(store))

    assert differing("both", "1", "['epochs', 'learning_rate']") == []
    assert differing("two rates at one K", "12", "['epochs', 'learning_rate']") == ["learning_rate"]
    assert differing("one", "1", "['epochs']") == ["learning_rate"]
    assert differing("none", "1", "[]") == ["epochs", "learning_rate"]


def test_without_the_tag_every_parameter_is_part_of_the_identity(tmp_path):
    store = Store(tmp_path)
    for number, place in enumerate(("here", "there")):
        store.record(1, 100, number, params={"tracking.uri": place}, tags={schema.MACHINERY: None})
    assert varying(read(store)) == ["tracking.uri"]
    # One run that names it is enough, in the table of parameters too.
    store.record(1, 100, 2, params={"tracking.uri": "here"}, tags={schema.MACHINERY: "tracking.uri"})
    store.record(1, 100, 3, params={"tracking.uri": "here"}, tags={schema.MACHINERY: "epochs"})
    runs = read(store)
    assert varying(runs) == []
    assert not {"tracking.uri", "epochs"} & set(setting_params(runs))
    assert {"data.name", "learning_rate"} <= set(setting_params(runs))


def test_a_parameter_that_older_runs_lack_makes_a_setting(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0)
    store.record(1, 100, 1, params={"added.later": None})
    store.record(1, 100, 2, params={"added.later": 3})
    assert read(store).groupby(SETTING).size().to_dict() == {1: 1, 2: 2}


def test_a_repeated_cell_counts_once_by_its_latest_finished_run(runs):
    counted = runs.set_index("run_id")[COUNTED]
    assert counted[study().runs[1, 100, 0]]
    assert not counted[study().repeat]
    assert counted[study().runs[5, 100, 1]]
    assert not counted[study().failed_first]
    aside = lost(runs)[lambda rows: rows["why"].str.startswith("repeat")].set_index("run_id")["why"]
    assert aside.to_dict() == {
        study().repeat: "repeat set aside: finished",
        study().failed_first: "repeat set aside: failed",
    }


def test_an_older_finished_run_beats_a_later_broken_one_and_a_repeat_of_another_fingerprint_is_named_so(tmp_path):
    store = Store(tmp_path)
    finished = store.record(1, 100, 0)
    broken = store.record(1, 100, 0, schema.DIVERGED, tags={schema.FINGERPRINT: "other"})
    runs = read(store)
    assert runs.set_index("run_id")[COUNTED].to_dict() == {finished: True, broken: False}
    assert lost(runs)["why"].tolist() == ["repeat set aside: diverged under another fingerprint"]
    assert counts(runs, 1, 1, 100) == {"n_seeds": 1, "n_finished": 1, "n_set_aside": 1}


def test_every_run_of_a_cell_is_counted(runs):
    expected = {
        (1, 30): {"n_seeds": 3, "n_finished": 2, "n_running": 1},
        (5, 30): {"n_seeds": 3, "n_finished": 2, "n_killed": 1},
        (25, 30): {"n_seeds": 3, "n_finished": 1, "n_diverged": 1, "n_failed": 1},
        (1, 100): {"n_seeds": 3, "n_finished": 3, "n_set_aside": 1},
        (5, 100): {"n_seeds": 3, "n_finished": 3, "n_set_aside": 1},
        (25, 100): {"n_seeds": 2, "n_finished": 2, "n_missing": 1},
    }
    assert {cell: counts(runs, 2, *cell) for cell in expected} == expected
    columns = [name for name in count(runs) if name.startswith("n_") and name not in ("n_seeds", "n_missing")]
    assert count(runs)[columns].to_numpy().sum() == len(runs)
    assert lost(runs)["why"].isin([schema.FAILED, schema.KILLED, schema.DIVERGED, schema.RUNNING]).sum() == 4


def test_a_finished_run_without_a_finite_score_is_listed(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0)
    broken = store.record(1, 100, 1, nll=float("nan"))
    runs = read(store)
    assert list(lost(runs)["run_id"]) == [broken]
    assert len(lost(runs.drop(columns=schema.FINAL_TEST_NLL.key))) == 2
    assert [broken, "finished without a finite test score"] in [row[:3:-1] for row in lost_table(runs).rows]


def test_the_grid_is_implied_by_each_sweep_not_across_them(tmp_path):
    store, other = Store(tmp_path / "one"), Store(tmp_path / "two")
    for cell in ((1, 30, 0), (5, 30, 0), (1, 100, 0)):
        store.record(*cell)
    assert missing(read(store)).to_numpy().tolist() == [[1, 5, 100, 0]]
    assert counts(read(store), 1, 5, 100) == {"n_missing": 1}
    other.record(1, 30, 0, parent=other.parent("first"))
    other.record(5, 100, 1, parent=other.parent("second"))
    assert missing(read(other)).empty


def test_sweeps_are_selected_by_id_name_or_tag(tmp_path):
    store = Store(tmp_path)
    first, second = store.parent("first"), store.parent("second")
    store.record(1, 30, 0, parent=first)
    store.record(1, 30, 1, parent=second)
    tagged = store.record(1, 30, 2)
    store.client.set_tag(tagged, schema.SWEEP, "named")
    tables = stores.read(store.uri, EXPERIMENT)
    assert list(select_sweeps(tables, [first]).runs["seed"]) == [0]
    assert list(select_sweeps(tables, ["second"]).runs["seed"]) == [1]
    assert set(select_sweeps(tables, ["second"]).history["seed"]) == {1}
    assert list(select_sweeps(tables, ["named", first]).runs["seed"]) == [0, 2]
    assert len(select_sweeps(tables, []).runs) == 3
    with pytest.raises(ReportError, match=r"first, named, second.* Received: --sweep=typo"):
        select_sweeps(tables, ["typo"])


def test_the_order_of_the_runs_in_the_store_changes_no_table(tmp_path, runs):
    def tables(store: Store) -> list[pd.DataFrame]:
        runs = read(store)
        return [count(runs), missing(runs), results_by_cell(runs)]

    for one, other in zip(tables(study()), tables(Study(tmp_path, reverse=True)), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
