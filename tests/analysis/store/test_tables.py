"""Millions of points are placed by codes; a plain loop over them says the same."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.store import param_columns, read
from analysis.store.tables import metrics, with_lists
from src.inference import Design
from tests.stores import EXPERIMENT, Store

LARGEST = 1.7976931348623157e308


def points(*rows: tuple[str, str, int, int, float, bool]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["run_id", "key", "step", "timestamp", "value", "is_nan"])


def test_a_plain_loop_finds_the_same_values():
    generator = np.random.default_rng(5)
    n = 3000  # of at most 1,260 places, so that most are written more than once, many at the same time
    found = pd.DataFrame(
        {
            "run_id": generator.choice(list("zyxwvut"), n),
            "key": generator.choice(["b/x", "a/y", "final/z", "run/s", "train/loss", "c/x"], n),
            "step": generator.choice([0, 7, 3, 100, *range(1000, 1026)], n),
            "timestamp": generator.integers(0, 4, n),
            "value": generator.integers(0, 50, n).astype(float),
            "is_nan": False,
        }
    )
    newest: dict[tuple[str, int, str], float] = {}
    for row in found.sort_values(["timestamp", "value"]).itertuples():
        newest[row.run_id, row.step, row.key] = row.value
    by_epoch, last = metrics(found)
    columns = [name for name in by_epoch if name not in ("run_id", "epoch")]
    assert columns == ["a/y", "b/x", "c/x", "train/loss"]
    rows = list(by_epoch[["run_id", "epoch"]].itertuples(index=False, name=None))
    assert sorted(rows) == sorted({(run, step) for run, step, key in newest if key in columns})
    wide = {(r["run_id"], r["epoch"], key): r[key] for r in by_epoch.to_dict("records") for key in columns}
    wide = {place: value for place, value in wide.items() if not math.isnan(value)}
    assert wide == {place: value for place, value in newest.items() if place[2] in columns}
    ends: dict[tuple[str, str], float] = {}
    for (run, _, key), value in sorted(newest.items()):
        ends[run, key] = value
    assert last.stack().to_dict() == ends


@pytest.mark.parametrize(
    ("value", "is_nan", "expected"),
    [(LARGEST, False, math.inf), (-LARGEST, False, -math.inf), (0.0, True, math.nan), (1e308, False, 1e308)],
)
def test_what_mlflow_cannot_store_is_mapped_back(value, is_nan, expected):
    by_epoch, last = metrics(points(("r", "train/loss", 2, 1, value, is_nan)))
    assert by_epoch["epoch"].tolist() == [2]
    np.testing.assert_equal([by_epoch["train/loss"][0], last.loc["r", "train/loss"]], [expected, expected])


def test_a_record_of_a_later_time_counts_then_the_larger_value_and_nan_before_any():
    by_epoch, _ = metrics(
        points(
            ("r", "a/b", 1, 2, 1.0, False),
            ("r", "a/b", 1, 1, 9.0, False),
            ("r", "a/b", 2, 1, 5.0, False),
            ("r", "a/b", 2, 1, 4.0, False),
            ("r", "a/b", 3, 1, 0.0, True),
            ("r", "a/b", 3, 1, 7.0, False),
        )
    )
    np.testing.assert_equal(by_epoch["a/b"].to_numpy(), [1.0, 5.0, math.nan])


def test_no_points_give_empty_tables():
    by_epoch, last = metrics(points())
    assert (len(by_epoch), len(last)) == (0, 0)
    assert list(by_epoch) == ["run_id", "epoch"]


@pytest.mark.parametrize(
    "text", ["['epochs', 'fork.epochs']", '["epochs", "fork.epochs"]', "('epochs', 'fork.epochs')"]
)
def test_lists_of_names_are_read_as_they_are_and_were_recorded(text):
    found = with_lists(pd.DataFrame({"study.covarying": [text, "[]", None], "design.covarying": ["('epochs',)"] * 3}))
    assert found["design.covarying"].tolist() == ["epochs"] * 3
    assert found["study.covarying"][0] == "epochs,fork.epochs"
    assert found["study.covarying"][1:].isna().all()


def test_the_design_of_a_study_is_that_of_its_cells(tmp_path):
    store, design = Store(tmp_path), Design(0.75, "final/test_nll", 6, covarying=("epochs",))
    parent = store.parent("grid", design.params)
    store.record(1, 100, 0, parent=parent)
    store.record(5, 100, 0)
    runs = read(store.uri, EXPERIMENT).runs
    found = {key: None if pd.isna(value) else value for key, value in runs.iloc[0].items() if key.startswith("design.")}
    assert Design.asked({key: value for key, value in found.items() if value is not None}) == design
    assert runs.filter(like="design.").iloc[1].isna().all()
    assert not [name for name in param_columns(runs) if name.startswith("design.")]
