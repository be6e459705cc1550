"""What a report computes from stores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from analysis import curves, decision, probe, stability, store
from analysis.decision import Decision
from analysis.statistics import SETTING, completeness
from analysis.store import Tables


class Question(NamedTuple):
    """What is asked for.

    places: as store.read() has them; their runs are one study. sweeps: none for all runs. design: what is given of the
    design; the rest is that of the latest run.
    """

    places: list[str]
    experiment: str
    sweeps: list[str]
    design: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Findings:
    """The tables of a report. All but history have a column `setting`.

    varying: the parameters in which settings differ. decision: over all settings. runs: marked. cells, stability: a
    row per cell. points, observed: a row per probed epoch and part of each cell or run; no rows without a probe.
    """

    question: Question
    varying: list[str]
    decision: Decision
    runs: pd.DataFrame
    history: pd.DataFrame
    cells: pd.DataFrame
    stability: pd.DataFrame
    points: pd.DataFrame
    observed: pd.DataFrame

    def by_setting(self) -> list["Findings"]:
        """The same of each setting, with its rows."""
        names = ("runs", "cells", "stability", "points", "observed")
        return [
            replace(self, **{name: (table := getattr(self, name))[table[SETTING] == setting] for name in names})
            for setting in sorted(self.runs[SETTING].unique())
        ]


def read(question: Question) -> Tables:
    """The runs that are asked for. Raises ReportError where there are none."""
    tables = store.together(store.read(place, question.experiment) for place in question.places)
    return completeness.select_sweeps(tables, question.sweeps)


def compute(question: Question, tables: Tables | None = None) -> Findings:
    """Every table, of the runs that were read, or are read now. Raises ReportError where there is nothing to report."""
    tables = tables or read(question)
    runs, history = completeness.mark(tables), tables.history
    observed = probe.observations(history, runs)
    return Findings(
        question,
        completeness.varying(runs),
        decision.decide(runs, history, question.design),
        runs,
        history,
        curves.results_by_cell(runs),
        stability.stability_by_cell(runs, history),
        probe.components_by_point(observed, runs),
        observed,
    )
