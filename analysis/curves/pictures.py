"""The pictures of the topic for one setting, with their captions. None is drawn here."""

import pandas as pd

from analysis.curves.figures import plot_cost, plot_curves, plot_final, plot_reconstructions
from analysis.curves.numbers import by_epoch
from analysis.curves.words import seeds
from analysis.display import capitalised, labelled
from analysis.statistics import finished, intervals, pairs
from analysis.statistics.cost import EPOCH_SECONDS
from analysis.store import CELL, EPOCH, B
from analysis.style import Picture
from src import schema

BANDS = "95 % t-intervals over seeds, none where a cell has one seed"


def pictures(
    runs: pd.DataFrame, history: pd.DataFrame, cells: pd.DataFrame, images: pd.DataFrame, kind: str, data: str
) -> list[Picture]:
    """Curves by epoch, final values and costs by cell, and reconstructions.

    Args:
        runs, history, cells: marked runs of one setting, their history, and their results_by_cell().
        images: store.reconstructions() of the runs.
        kind, data: what the NLL is and what the runs were trained on, for titles and labels.
    """
    usable, counts = finished(runs), seeds(cells)
    return [
        *_by_epoch(pairs.with_machine(history, usable), kind, data, counts),
        *_by_cell(usable, kind, data, counts),
        _reconstructions(images, data),
    ]


def _by_epoch(history: pd.DataFrame, kind: str, data: str, counts: str) -> list[Picture]:
    variance = by_epoch(history, schema.TRAIN_LOSS_VARIANCE, log=True)
    loss, nll = schema.TRAIN_LOSS, labelled(schema.TEST_NLL, kind)
    gap = nll._replace(label=f"{nll.label}\nminus that at the smallest K")
    curves = [
        (loss, by_epoch(history, loss)),
        (nll, by_epoch(history, nll)),
        (gap, pairs.paired(history, [B, EPOCH], nll)),
    ]
    curves = [(quantity, table) for quantity, table in curves if len(table)]
    return [
        Picture(
            "loss_variance",
            variance,
            lambda: plot_curves([(schema.TRAIN_LOSS_VARIANCE, variance)], data, log=True),
            "Stability: variance of the minibatch losses within each epoch, by K and B. Lines are geometric means over "
            f"seeds ({counts}); bands are {BANDS}, taken on the logarithm. The variance holds the spread between "
            "images as well as the Monte Carlo noise, so it cannot fall below the former however large K is.",
        ),
        Picture(
            "learning_curves",
            pd.concat([table for _, table in curves]) if curves else variance.head(0),
            lambda: plot_curves(curves, data),
            f"{capitalised(loss.label)}, {nll.label} and, where at least two seeds have both, its paired "
            f"difference from the smallest K, by epoch. Lines are means over seeds ({counts}); bands are {BANDS}. The "
            f"training loss averages over the moving weights of an epoch; the {nll.label} is taken at its end.",
        ),
    ]


def _by_cell(usable: pd.DataFrame, kind: str, data: str, counts: str) -> list[Picture]:
    nll = labelled(schema.FINAL_TEST_NLL, kind)
    final, cost = (intervals.t_intervals(usable, CELL, q.key) for q in (nll, EPOCH_SECONDS))
    return [
        Picture(
            "final_nll",
            final,
            lambda: plot_final(usable, final, nll, data),
            f"{capitalised(nll.label)} by K and B: means over seeds ({counts}) with {BANDS}. Grey lines join "
            "the runs of one seed, which share initial weights, data order and draws: compare along them, as paired "
            "differences do, rather than by the overlap of bars.",
        ),
        Picture(
            "cost",
            cost,
            lambda: plot_cost(cost, EPOCH_SECONDS, data),
            "Cost: seconds of training per epoch against K; compilation, which comes before the first epoch, tests and "
            "probes are not in them. A run's cost is the median of its epochs; points are means over seeds "
            f"({counts}), bars are {BANDS}. Runs that shared a machine slowed each other down.",
        ),
    ]


def _reconstructions(images: pd.DataFrame, data: str) -> Picture:
    return Picture(
        "reconstructions",
        images,
        lambda: plot_reconstructions(images, data),
        "One test digit and its K sampled reconstructions, as recorded at a run's end; one run per K (n = 1).",
    )
