"""Runs of the tables as the comparison sees them, its design, and its contrasts, at the end and at equal cost."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.statistics import AXES, COUNTED, EPOCH_SECONDS
from analysis.statistics.amounts import EPOCHS, amounts
from analysis.statistics.completeness import setting_params
from analysis.store import RUN, TAG_PREFIX, ReportError
from src import inference, schema
from src.inference import Contrast, Design, Run
from src.refusal import refusal
from src.schema import Quantity

ENDED = (schema.FINISHED, schema.DIVERGED)
POINTS = 25  # of a difference along an axis
# By run: its test NLL and each of AXES after every epoch that has one, [E].
Path = Mapping[str, np.ndarray]
Paths = Mapping[str, Path]


class Decision(NamedTuple):
    """What the runs of a report prove.

    Attributes:
        contrasts: of the metric at the end of the runs.
        matched: by axis, of the test NLL at the largest amount that both runs of a pair reach.
        untuned: the contrasts of every value of the setting that is tuned, apart; empty where none is.
        along: of the test NLL at every amount that both runs of a pair reach; see differences_along().
    """

    contrasts: list[Contrast]
    matched: dict[Quantity, list[Contrast]]
    untuned: list[Contrast]
    along: pd.DataFrame


def decide(runs: pd.DataFrame, history: pd.DataFrame, given: Mapping[str, Any]) -> Decision:
    """The contrasts of marked runs and their history; given: fields of Design that the user sets."""
    ended = runs[runs[COUNTED] & runs["status"].isin(ENDED)]
    paths = paths_of(history[history["run_id"].isin(ended["run_id"])])
    of_runs, design = as_runs(ended, paths), design_of(ended, given)
    check(of_runs, design, given)
    design = with_comparisons(of_runs, design)
    at_epochs = replace(design, metric=schema.TEST_NLL.key)
    matched = {axis: inference.contrasts(of_runs, at_epochs, axis.key) for axis in AXES}
    apart = with_comparisons(of_runs, replace(design, tune=None))
    untuned = inference.contrasts(of_runs, apart) if design.tune else []
    return Decision(inference.contrasts(of_runs, design), matched, untuned, differences_along(matched, paths))


def check(runs: Sequence[Run], design: Design, given: Collection[str]) -> None:
    """Raises ReportError where the design names what these runs do not have. given: the fields that the user sets."""
    known = {key for run in runs for key in run.settings}
    named = [key for key in (design.factor, design.tune, *design.covarying) if key]
    if runs and (unknown := [key for key in named if key not in known]):
        expected = f"settings of the runs: {', '.join(sorted(known))}"
        remedy = "For example --factor objective --reference elbo."
        raise ReportError(refusal("factor, tune and covarying", expected, unknown[0], remedy))
    scores = {key for run in runs if run.status == schema.FINISHED for key in run.metrics}
    if "metric" in given and scores and design.metric not in scores:
        remedy = "Leave --metric out for that of the study."
        raise ReportError(refusal("--metric", f"one of {', '.join(sorted(scores))}", design.metric, remedy))
    levels = sorted({str(run.settings[design.factor]) for run in runs})
    if {"factor", "reference"} & set(given) and len(levels) > 1 and not inference.opponents(runs, design):
        expected = f"a value of {design.factor} that runs have beside others, all else equal: {', '.join(levels)}"
        raise ReportError(refusal("--reference", expected, design.reference, "Numbers have max and min, too."))
    if design.tune and not any(schema.VALIDATION_NLL.key in run.metrics for run in runs):
        expected = f"left out for runs without {schema.VALIDATION_NLL.key}"
        raise ReportError(refusal("--tune", expected, design.tune, "Train with data.validation_size=5000."))


def with_comparisons(runs: Sequence[Run], design: Design) -> Design:
    """The design with the number of its comparisons among these runs."""
    return replace(design, comparisons=max(1, len(inference.opponents(runs, design))))


def design_of(runs: pd.DataFrame, given: Mapping[str, Any]) -> Design:
    """The design of the latest run's study, with what is given. Raises ReportError where the design is not possible.

    Where the runs are of several studies, with different numbers of seeds, seeds may be added at any time: a last look
    of a study that began after a look at another is for its own seeds alone.
    """
    latest = runs.sort_values(["start_time", "run_id"]).iloc[-1:].to_dict("records")
    known = {str(key): value for row in latest for key, value in row.items() if pd.notna(value)}
    several = "study.seeds" in runs and runs["study.seeds"].nunique() > 1
    try:
        return Design.asked(known, {**({"n_max": None} if several else {}), **given})
    except ValueError as error:
        raise ReportError(str(error)) from error


def as_runs(runs: pd.DataFrame, paths: Paths = MappingProxyType({})) -> list[Run]:
    """Runs of the table as the comparison sees them."""
    keys = [*RUN, *setting_params(runs)]
    metrics = [name for name in runs if "/" in str(name)]
    made = []
    for row in runs.to_dict("records"):
        settings = {key: None if pd.isna(row[key]) else row[key] for key in keys}
        known = {str(name): float(row[name]) for name in metrics if pd.notna(row[name])}
        known[schema.TRAIN_SECONDS.key] = known.get(EPOCH_SECONDS.key, math.nan)
        tags = {tag: str(row.get(f"{TAG_PREFIX}{tag}", "")) for tag in inference.MACHINE}
        run_id = row["run_id"]
        made.append(Run(settings, row["status"], known, tags, paths.get(run_id, {}), run_id))
    return made


def paths_of(history: pd.DataFrame) -> Paths:
    """Paths of the runs of a history."""
    columns = [schema.TEST_NLL.key, *(axis.key for axis in AXES)]
    groups = amounts(history).groupby("run_id")
    return {str(run): {name: group[name].to_numpy(dtype=float) for name in columns} for run, group in groups}


def differences_along(matched: Mapping[Quantity, list[Contrast]], paths: Paths) -> pd.DataFrame:
    """Mean differences of the test NLL from the reference, at amounts that both runs of all pairs reach.

    Args:
        matched: of Decision. paths: of the runs.
    Returns:
        place, level, axis (its title), x (in the unit of the axis), n pairs, mean, and the ends ci_low, ci_high of the
        interval for a direction, which holds at each x, at every look at more seeds; nan before the first look.
    """
    tables = [pd.DataFrame(columns=["place", "level", "axis", "n", "x", "mean"]).astype({"x": float, "mean": float})]
    for axis, contrasts in matched.items():
        # After an epoch all pairs have a score, at equal seconds some may have none.
        for each, at_epochs in zip(contrasts, matched[EPOCHS], strict=True):
            scored = [pair for pair in at_epochs.pairs if math.isfinite(pair.level - pair.reference)]
            found = along_axis([[paths[name] for name in pair.runs] for pair in scored], each.judgement.design, axis)
            tables.append(found.assign(place=each.place, level=each.level, axis=axis.axis))
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def along_axis(pairs: Sequence[Sequence[Path]], design: Design, axis: Quantity) -> pd.DataFrame:
    """x, n, mean, ci_low and ci_high of differences_along() of one contrast; no rows without a common amount."""
    first = max((path[axis.key][0] for pair in pairs for path in pair), default=1.0)
    last = min((path[axis.key][-1] for pair in pairs for path in pair), default=0.0)
    if first > last:
        return pd.DataFrame()
    x = np.unique(np.linspace(first, last, POINTS).round(0 if axis is EPOCHS else 9))
    scores = [[np.interp(x, path[axis.key], path[schema.TEST_NLL.key]) for path in pair] for pair in pairs]
    both, n = np.array(scores), len(pairs)  # [pairs, 2, points]
    d = both[:, 0] - both[:, 1]
    bound = design.bound(n, design.alpha / 2 / design.comparisons) / math.sqrt(n)
    half = bound * d.std(axis=0, ddof=1) if math.isfinite(bound) else math.nan
    ends = {"ci_low": d.mean(axis=0) - half, "ci_high": d.mean(axis=0) + half}
    return pd.DataFrame({"x": x, "n": n, "mean": d.mean(axis=0), **ends})


def differences(contrasts: list[Contrast]) -> pd.DataFrame:
    """A row per contrast, for a file: group, level, reference, the pairs' summary, both intervals and the verdicts."""
    rows = []
    for each in contrasts:
        judged, design = each.judgement, each.judgement.design
        rows.append(
            {key: str(value) for key, value in each.group.items()}
            | {"factor": design.factor, "level": each.level, "reference": each.reference, "metric": design.metric}
            | (dict(zip(("tuned", "reference_tuned"), each.tuned, strict=True)) if design.tune else {})
            | {"margin": design.margin, "n_max": design.n_max, "comparisons": design.comparisons}
            | {name: getattr(judged.pairs, name) for name in ("n", "mean", "sd", "correlation")}
            | {"low": judged.interval.low, "high": judged.interval.high}
            | {"directional_low": judged.directional.low, "directional_high": judged.directional.high}
            | {"moved": judged.bias, "provable_margin": judged.provable_margin, "pairs_needed": judged.pairs_needed}
            | dict(zip(("epoch_seconds", "reference_epoch_seconds"), each.epoch_seconds, strict=True))
            | {"verdicts": "; ".join(judged.verdicts), "note": each.note}
        )
    return pd.DataFrame(rows)
