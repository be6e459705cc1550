"""Results by cell and gains of the study, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.curves import results_by_cell
from analysis.statistics import DECODER_EVALUATIONS, EPOCH_SECONDS, SETTING
from analysis.store import B, K
from src import schema
from tests.analysis.marked import marked
from tests.stores import IMAGES, curve, final_nll, study

NLL = schema.FINAL_TEST_NLL
T2 = 4.3027  # Student's t, 97.5 %, two degrees of freedom


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return marked(study())[0]


def test_cost_is_the_median_over_epochs_and_decoder_evaluations_are_n_times_k(runs):
    one = runs.set_index("run_id").loc[study().runs[25, 100, 0]]
    assert one[EPOCH_SECONDS.key] == pytest.approx(np.median(curve(25, 100, 0)[schema.TRAIN_SECONDS.key]))
    assert one[DECODER_EVALUATIONS.key] == IMAGES * 25


def cell(rows: pd.DataFrame, k: int, b: int, setting: int = 2) -> pd.Series:
    [row] = [row for _, row in rows.iterrows() if (row[K], row[B], row[SETTING]) == (k, b, setting)]
    return row


def test_summary_of_the_study(runs):
    rows = results_by_cell(runs)
    whole, one_seed, grayscale = cell(rows, 1, 100), cell(rows, 25, 30), cell(rows, 5, 100, setting=1)
    values = [final_nll(1, 100, seed) for seed in range(3)]
    assert whole[f"{NLL.key}_n"] == 3
    assert whole[f"{NLL.key}_mean"] == pytest.approx(np.mean(values))  # not with the repeat's 500
    assert whole[f"{NLL.key}_sd"] == pytest.approx(np.std(values, ddof=1))
    half_width = T2 * np.std(values, ddof=1) / 3**0.5
    assert whole[f"{NLL.key}_ci_low"] == pytest.approx(np.mean(values) - half_width, rel=1e-5)
    assert one_seed[f"{NLL.key}_n"] == 1
    assert one_seed[f"{NLL.key}_mean"] == pytest.approx(final_nll(25, 30, 0))
    assert one_seed[[f"{NLL.key}_{name}" for name in ("sd", "ci_low", "ci_high")]].isna().all()
    assert grayscale[f"{NLL.key}_n"] == 2
    assert f"{schema.RUN_SECONDS.key}_mean" in rows
