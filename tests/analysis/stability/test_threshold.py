"""Times to a threshold with those that never got there."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.stability import stability_by_cell, threshold_sentences, threshold_table
from analysis.stability.numbers import (
    AT_RISK,
    REACHED,
    THRESHOLD,
    TO_EPOCHS,
    TO_EVALUATIONS,
    TO_SECONDS,
    default_thresholds,
    reached,
)
from analysis.statistics import SETTING
from analysis.store import EPOCH
from src import schema
from tests.analysis.marked import marked
from tests.stores import IMAGES, Store, curve, study

INF = math.inf
NLL, SECONDS = schema.TEST_NLL.key, schema.TRAIN_SECONDS.key


@pytest.fixture
def store(tmp_path) -> Store:
    """Threshold 110, three epochs in a row. K = 1: from epoch 2, 3 and 3 on; one failed after 1. K = 5: from 1 on,
    never, as it was there for two epochs twice, and one diverged.
    """
    store = Store(tmp_path)

    def record(k: int, seed: int, nll: list[float], status: str = schema.FINISHED) -> None:
        seconds = [1.0, 2.0, 4.0, 4.0, 4.0][: len(nll)]
        metrics = {key: [] for key in curve(k, 100, seed)}
        metrics |= {NLL: nll, SECONDS: seconds, schema.TRAIN_IMAGES_PER_SECOND.key: [IMAGES / t for t in seconds]}
        store.record(k, 100, seed, status, metrics=metrics)

    for seed, nll in enumerate(([120, 110, 109, 108, 100], [120, 115, 106, 106, 105], [109, 115, 109.5, 109.2, 109])):
        record(1, seed, nll)
    record(1, 3, [120], schema.FAILED)
    for seed, nll in enumerate(([109, 109, 109, 108, 109], [109, 109, 112, 109, 108])):
        record(5, seed, nll)
    record(5, 2, [120], schema.DIVERGED)
    record(25, 0, [], schema.FAILED)
    return store


def first_epoch(nll: list[float] | np.ndarray, threshold: float) -> float:
    """The epoch that counts as that of the threshold; nan where it was not reached."""
    epochs = pd.DataFrame({NLL: nll, SECONDS: 1.0, EPOCH: np.arange(1, len(nll) + 1)})
    found = reached(epochs, 1.0, False, threshold)
    return found[TO_EPOCHS.key] if found[REACHED] else math.nan


@pytest.mark.parametrize(
    ("nll", "epoch"),
    [
        ([9, 8, 8, 8], 2),
        ([8, 8, 9, 8, 8, 8], 4),
        ([9, 9, 8, 8], math.nan),  # fewer than three epochs remain
        ([8, math.nan, 8, 8, 8], 3),
        ([8, 8], math.nan),
        ([], math.nan),
    ],
)
def test_the_threshold_is_reached_at_the_first_of_three_epochs_in_a_row(nll, epoch):
    assert first_epoch(nll, 8.0) == pytest.approx(epoch, nan_ok=True)


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_three_epochs_in_a_row_are_about_when_the_mean_of_a_noisy_path_is_there(noise):
    """Power: the first crossing comes more than five epochs early."""
    mean = 100 + 4 * np.exp(-np.arange(1, 101) / 15)
    truth = 1 + int(np.argmax(mean <= 100.4))
    paths = mean + np.random.default_rng(0).normal(0, noise, size=(300, 100))
    assert abs(np.median([first_epoch(path, 100.4) for path in paths]) - truth) < 5
    assert np.median([1 + np.argmax(path <= 100.4) for path in paths]) < truth - 5


def test_the_cells_of_a_store(store):
    found = stability_by_cell(*marked(store), 110.0).set_index("mc_samples")
    one, five = found.loc[1], found.loc[5]
    assert (one[AT_RISK], one[REACHED], five[AT_RISK], five[REACHED]) == (4, 3, 3, 1)
    # Of three under way after the first epoch one arrives at 2 and two at 3, one of which was there at 1 for once.
    assert (one[f"{TO_EPOCHS.key}_median"], one[f"{TO_SECONDS.key}_median"]) == (3, 7.0)
    assert one[f"{TO_EVALUATIONS.key}_median"] == 3 * IMAGES
    assert (one[f"{TO_EPOCHS.key}_first"], one[f"{TO_SECONDS.key}_first"]) == (2, 3.0)
    assert five[f"{TO_EPOCHS.key}_median"] == INF  # not 1, the mean of those that arrived
    assert five[f"{TO_EPOCHS.key}_first"] == 1
    assert math.isnan(found.loc[25, AT_RISK])


def test_table_and_sentence_say_how_many_arrived(store):
    cells = stability_by_cell(*marked(store), 110.0)
    table = threshold_table(cells, schema.TRUE_NLL, chosen=True)
    rows = [dict(zip(table.heads, row, strict=True)) for row in table.rows]
    assert [row["K"] for row in rows] == ["1", "5"]
    assert [row["runs that reached it"] for row in rows] == ["3 of 4, 1 cut short", "1 of 3"]
    assert [row["median epochs"] for row in rows] == ["3", "not by half"]
    assert [row["median training time [s]"] for row in rows] == ["7.00", "not by half"]
    assert [row["median decoder evaluations"] for row in rows] == ["1,800", "not by half"]
    assert (
        "the first of 3 epochs in a row after which the test NLL is at most 110.00 nats/image, set on the command line"
        in table.caption
    )
    [sentence] = threshold_sentences(cells, schema.TRUE_NLL)
    assert "110.00 nats/image is reached at K = 1 after 3 epochs and 7.00 s (3 of 4 runs, 1 cut short)" in sentence
    assert "at K = 5 not by half (1 of 3 runs)" in sentence


def test_the_default_threshold_is_what_half_of_the_worst_cells_runs_reach(store):
    runs, histories = marked(store)
    # Highest of the last three epochs: 109, 106 and 109.5 at K = 1, 109 and 112 at K = 5; unfinished runs do not count.
    assert default_thresholds(runs, histories) == {1: 110.5}
    assert default_thresholds(runs[runs["status"] != schema.FINISHED], histories) == {}
    assert default_thresholds(runs, histories.drop(columns=NLL)) == {}
    assert default_thresholds(runs, histories[histories[EPOCH] <= 2]) == {}
    higher = histories.assign(**{NLL: histories[NLL] + 0.001})
    assert default_thresholds(runs, higher) == {1: 110.51}  # up: the median is there
    # The diverged run keeps K = 5 below half.
    medians = stability_by_cell(runs, histories).set_index("mc_samples")[f"{TO_EPOCHS.key}_median"]
    assert (medians[1], medians[5]) == (3, INF)


def test_with_the_default_threshold_every_cell_of_finished_runs_has_a_median_time():
    """Power: what the worst cell's mean reaches, fewer than half of its runs may."""
    runs, histories = marked(study())
    found = stability_by_cell(*marked(study()))
    whole = found[found["diverged_n"] == 0]
    assert np.isfinite(whole[f"{TO_EPOCHS.key}_median"]).all()
    means = runs[runs["status"] == schema.FINISHED].groupby([SETTING, "mc_samples", "batch_size"])[NLL].mean()
    low = stability_by_cell(runs, histories, float(means[2].min()))
    assert np.isinf(low[f"{TO_EPOCHS.key}_median"]).any()


def test_each_setting_has_a_threshold_of_its_own():
    runs, histories = marked(study())
    found = stability_by_cell(runs, histories).groupby(SETTING)[THRESHOLD.key].unique()
    assert [len(values) for values in found] == [1, 1]
    assert stability_by_cell(runs, histories, 50.0)[THRESHOLD.key].unique().tolist() == [50.0]
    assert stability_by_cell(runs, histories, 50.0)[REACHED].sum() == 0


def test_without_a_finished_run_there_is_no_threshold_and_no_table(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0, schema.FAILED)
    cells = stability_by_cell(*marked(store))
    assert threshold_table(cells, schema.TRUE_NLL, chosen=False).rows == []
    assert threshold_sentences(cells, schema.TRUE_NLL) == []
