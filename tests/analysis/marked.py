"""A store as the topics get it."""

import pandas as pd

from analysis import store as stores
from analysis.display import Table
from analysis.probe import components_by_point, observations
from analysis.statistics import completeness
from tests.stores import EXPERIMENT, Store


def marked(store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Marked runs and their histories."""
    tables = stores.read(store.uri, EXPERIMENT)
    return completeness.mark(tables), tables.history


def probes(store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Observations and points."""
    runs, history = marked(store)
    observed = observations(history, runs)
    return observed, components_by_point(observed, runs)


def records(table: Table) -> list[dict[str, str]]:
    """The rows of a table of the report by its heads."""
    return [dict(zip(table.heads, row, strict=True)) for row in table.rows]
