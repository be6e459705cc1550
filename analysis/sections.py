"""What the report says and shows of one setting: its answers, tables and pictures."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis import figures, statistics, wording
from analysis.tidy import CELL
from analysis.wording import Table
from src import schema

K = schema.MC_SAMPLES.key
BANDS = "95 % t-intervals over seeds, none where a cell has one seed"


class Picture(NamedTuple):
    """A figure to draw: the stem of its file names, the table behind it, how to draw it, and its caption."""

    stem: str
    table: pd.DataFrame
    draw: Callable[[], Figure]
    caption: str


class Section(NamedTuple):
    """One setting of the report. absent: what could not be shown, and why."""

    heading: str
    kind: str
    answers: list[str]
    tables: list[Table]
    pictures: list[Picture]
    absent: list[str]
    details: list[Table]


def section(
    runs: pd.DataFrame,
    cells: pd.DataFrame,
    gains: pd.DataFrame,
    history: pd.DataFrame,
    images: pd.DataFrame,
    varying: list[str],
) -> Section:
    """The section of a setting.

    Args:
        runs: marked runs of one setting, with the columns of statistics.cost().
        cells, gains: statistics.summary and statistics.gains of these runs.
        history: the history of the experiment.
        images: a row per K whose picture of reconstructions was found: mc_samples, batch_size, seed, image.
        varying: the parameters that tell this setting from the others of the report.
    """
    kind, heading = wording.nll_kind(runs), wording.heading(runs, varying)
    usable = statistics.finished(runs)
    seeds = wording.seeds(cells)
    pictures = [
        *_by_epoch(history[history["run_id"].isin(usable["run_id"])], kind, heading, seeds),
        *_by_cell(usable, kind, heading, seeds),
        _reconstructions(images, heading),
    ]
    without = sorted(set(usable[K]) - set(images[K]))
    absent = [f"{p.stem}: no finished run recorded what it shows." for p in pictures if p.table.empty]
    if without and len(images):
        absent.append(f"reconstructions at K = {', '.join(map(str, without))}: the artifact is missing.")
    return Section(
        heading=heading,
        kind=kind,
        answers=wording.answers(cells, gains, kind),
        tables=[wording.cell_table(cells, kind), wording.gain_table(gains, kind)],
        pictures=[picture for picture in pictures if len(picture.table)],
        absent=absent,
        details=[wording.run_table(runs), wording.parameter_table(runs)],
    )


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
            f"{wording.capitalised(loss.label)}, {nll.label} and, where at least two seeds have both, its paired "
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
            f"{wording.capitalised(nll.label)} by K and B: means over seeds ({seeds}) with {BANDS}. Grey lines join "
            "the runs of one seed, which share initial weights, data order and draws: compare along them, as paired "
            "differences do, rather than by the overlap of bars.",
        ),
        Picture(
            "cost",
            cost,
            lambda: figures.plot_cost(cost, statistics.EPOCH_SECONDS, data),
            "Cost: seconds of training per epoch against K. A run's cost is the median of its epochs, so the first, "
            f"which compiles, does not weigh; points are means over seeds ({seeds}), bars are {BANDS}. Runs that "
            "shared a machine slowed each other down.",
        ),
    ]


def _reconstructions(images: pd.DataFrame, data: str) -> Picture:
    return Picture(
        "reconstructions",
        images,
        lambda: figures.plot_reconstructions(images, data),
        "One test digit and its K sampled reconstructions, as recorded at a run's end; one run per K (n = 1).",
    )
