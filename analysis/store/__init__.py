"""The only reader of runs, wherever they lie: two tidy tables, of runs and histories, and recorded pictures."""

from analysis.store.parquet import RUNS_FILE, shareable
from analysis.store.reading import pictures, read, together
from analysis.store.tables import CELL, EPOCH, RUN, SEED, STATUSES, TAG_PREFIX, B, K, ReportError, Tables, param_columns
