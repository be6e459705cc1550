"""Everything that the report computes from a store."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from analysis import store
from analysis.curves import gains_by_cell, results_by_cell
from analysis.probe import components_by_point, observations
from analysis.stability import stability_by_cell
from analysis.statistics import SETTING, completeness


class Question(NamedTuple):
    """What is asked for: the store's URI, the experiment's name, the sweeps (none: all runs), and the test NLL whose
    reaching is timed, nats/image (None: chosen from the runs).
    """

    uri: str
    experiment: str
    sweeps: list[str]
    threshold: float | None = None


@dataclass(frozen=True)
class Findings:
    """The tables of a report. All but history have a column `setting`.

    varying: the parameters in which settings differ. runs: marked. cells, gains, stability: a row per cell. points: a
    row per cell, probed epoch and part; observed: a row per run, probed epoch and part; both without rows where there
    was no probe.
    """

    question: Question
    varying: list[str]
    runs: pd.DataFrame
    history: pd.DataFrame
    cells: pd.DataFrame
    gains: pd.DataFrame
    stability: pd.DataFrame
    points: pd.DataFrame
    observed: pd.DataFrame

    @property
    def settings(self) -> list[int]:
        """The numbers of the settings, from 1."""
        return sorted(self.runs[SETTING].unique())

    def of(self, setting: int) -> "Findings":
        """The same with the rows of one setting."""
        names = ("runs", "cells", "gains", "stability", "points", "observed")
        return replace(self, **{name: (table := getattr(self, name))[table[SETTING] == setting] for name in names})


def compute(question: Question) -> Findings:
    """Read the store and compute every table.

    Raises:
        ReportError: there is nothing to report.
    """
    tables = completeness.select_sweeps(store.read(question.uri, question.experiment), question.sweeps)
    runs, history = completeness.mark(tables), tables.history
    observed = observations(history, runs)
    return Findings(
        question=question,
        varying=completeness.varying(runs),
        runs=runs,
        history=history,
        cells=results_by_cell(runs),
        gains=gains_by_cell(runs),
        stability=stability_by_cell(runs, history, question.threshold),
        points=components_by_point(observed, runs),
        observed=observed,
    )
