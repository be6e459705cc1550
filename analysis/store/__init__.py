"""The only reader of an MLflow store: runs and their histories as two tidy tables, and the recorded pictures."""

from analysis.store.reading import read, reconstructions
from analysis.store.tables import CELL, EPOCH, RUN, SEED, STATUSES, TAG_PREFIX, B, K, ReportError, Tables, param_columns
