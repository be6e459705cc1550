"""Results by cell and gains of the study, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.curves import cell_table, results_by_cell
from analysis.statistics import DECODER_EVALUATIONS, EPOCH_SECONDS, SETTING, completeness
from analysis.store import B, K
from src import schema
from tests.analysis.marked import marked
from tests.stores import IMAGES, Store, curve, final_nll, study

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


@pytest.mark.parametrize(
    ("kind", "exact", "head"),
    [
        (schema.TRUE_NLL, None, "final test NLL [nats/image]"),
        (schema.DENSITY_NLL, None, "final test negative log-density [nats/image]"),
        (schema.PSEUDO_NLL, 98.0, "final test BCE pseudo-NLL by quadrature [nats/image]"),
        (schema.PSEUDO_NLL, 97.0, "final test BCE pseudo-NLL [nats/image]"),  # it stands beside the score
    ],
)
def test_the_score_of_a_table_is_named_after_its_kind(tmp_path, kind, exact, head):
    store, by_quadrature = Store(tmp_path), {(schema.FINAL_TEST_NLL_QUADRATURE.key, 3): exact}
    store.record(1, 100, 0, nll=98.0, more=by_quadrature if exact else {})
    table = cell_table(results_by_cell(marked(store)[0]), kind)
    assert dict(zip(table.heads, table.rows[0], strict=True))[head] == "98.00"


def test_scores_by_draws_are_in_no_mean_with_scores_by_quadrature(tmp_path):
    store = Store(tmp_path)
    for seed, exact in enumerate((98.0, 98.5, None)):  # of the last, quadrature did not converge
        more = {(schema.FINAL_TEST_NLL_QUADRATURE.key, 3): exact} if exact else {}
        store.record(1, 100, seed, nll=exact or 99.0, more=more)
    runs = marked(store)[0]
    assert results_by_cell(runs)[f"{NLL.key}_mean"].tolist() == [98.25]
    [why] = completeness.lost(runs)["why"]
    assert "scored by draws" in why
