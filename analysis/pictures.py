"""The figures of one setting with their captions, not drawn yet."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis import figures, probe_figures, statistics, wording
from analysis.display import capitalised
from analysis.probe_tables import single
from analysis.tidy import CELL
from src import schema

BANDS = "95 % t-intervals over seeds, none where a cell has one seed"


class Picture(NamedTuple):
    """A figure to draw: the stem of its file names, the table behind it, how to draw it, and its caption."""

    stem: str
    table: pd.DataFrame
    draw: Callable[[], Figure]
    caption: str


def pictures_of_runs(usable: pd.DataFrame, history: pd.DataFrame, kind: str, data: str, seeds: str) -> list[Picture]:
    """Curves by epoch and final values by cell, of finished runs; kind, data and seeds go into labels and captions."""
    mine = history[history["run_id"].isin(usable["run_id"])]
    return [*_by_epoch(mine, kind, data, seeds), *_by_cell(usable, kind, data, seeds)]


def _by_epoch(history: pd.DataFrame, kind: str, data: str, seeds: str) -> list[Picture]:
    variance = statistics.curves(history, schema.TRAIN_LOSS_VARIANCE, log=True)
    loss, nll = schema.TRAIN_LOSS, wording.labelled(schema.TEST_NLL, kind)
    gap = nll._replace(label=f"{nll.label}\nminus that at the smallest K")
    curves = [
        (loss, statistics.curves(history, loss)),
        (nll, statistics.curves(history, nll)),
        (gap, statistics.paired(history, [schema.BATCH_SIZE.key, schema.EPOCH.key], nll)),
    ]
    curves = [(quantity, table) for quantity, table in curves if len(table)]
    return [
        Picture(
            "loss_variance",
            variance,
            lambda: figures.plot_loss_variance(variance, schema.TRAIN_LOSS_VARIANCE, data),
            "Stability: variance of the minibatch losses within each epoch, by K and B. Lines are geometric means over "
            f"seeds ({seeds}); bands are {BANDS}, taken on the logarithm. The variance holds the spread between images "
            "as well as the Monte Carlo noise, so it cannot fall below the former however large K is.",
        ),
        Picture(
            "learning_curves",
            pd.concat([table for _, table in curves]) if curves else variance.head(0),
            lambda: figures.plot_learning_curves(curves, data),
            f"{capitalised(loss.label)}, {nll.label} and, where at least two seeds have both, its paired "
            f"difference from the smallest K, by epoch. Lines are means over seeds ({seeds}); bands are {BANDS}. The "
            f"training loss averages over the moving weights of an epoch; the {nll.label} is taken at its end.",
        ),
    ]


def _by_cell(usable: pd.DataFrame, kind: str, data: str, seeds: str) -> list[Picture]:
    nll = wording.labelled(schema.FINAL_TEST_NLL, kind)
    final, cost = (statistics.intervals(usable, CELL, q.key) for q in (nll, statistics.EPOCH_SECONDS))
    return [
        Picture(
            "final_nll",
            final,
            lambda: figures.plot_final(usable, final, nll, data),
            f"{capitalised(nll.label)} by K and B: means over seeds ({seeds}) with {BANDS}. Grey lines join "
            "the runs of one seed, which share initial weights, data order and draws: compare along them, as paired "
            "differences do, rather than by the overlap of bars.",
        ),
        Picture(
            "cost",
            cost,
            lambda: figures.plot_cost(cost, statistics.EPOCH_SECONDS, data),
            "Cost: seconds of training per epoch against K; compilation, which comes before the first epoch, tests and "
            "probes are not in them. A run's cost is the median of its epochs; points are means over seeds "
            f"({seeds}), bars are {BANDS}. Runs that shared a machine slowed each other down.",
        ),
    ]


def pictures_of_probes(points: pd.DataFrame, observed: pd.DataFrame, data: str) -> list[Picture]:
    """The variance components and the share of Monte Carlo noise, from probes.summary and probes.observations."""
    of_set = "" if single(points) else " Here V_mc is that of a whole set of K draws, not divided again."
    return [
        Picture(
            "probe_components",
            points,
            lambda: probe_figures.plot_components(points, observed, data),
            "Where a step's noise comes from, by epoch (0: before training), at the weights of each cell's own runs: "
            "the variance between images (dashed) and of the Monte Carlo noise of an image's K draws (solid); divided "
            "by B they add up to a step's variance. Gradients are summed over parameters. Lines are means over seeds, "
            f"faint lines the single seeds; the table has intervals. An estimate below zero is not drawn.{of_set}",
        ),
        Picture(
            "probe_share",
            points,
            lambda: probe_figures.plot_share(points, observed, data),
            "Share of the Monte Carlo noise in a step's variance, by epoch: what a larger K could still take away. "
            "Lines are ratios of means over seeds, faint lines the single seeds.",
        ),
    ]


def picture_of_images(images: pd.DataFrame, data: str) -> Picture:
    return Picture(
        "reconstructions",
        images,
        lambda: figures.plot_reconstructions(images, data),
        "One test digit and its K sampled reconstructions, as recorded at a run's end; one run per K (n = 1).",
    )
