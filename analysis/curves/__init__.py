"""Topic: what runs reach and what it costs. Curves by epoch and final values by cell."""

from analysis.curves.numbers import results_by_cell
from analysis.curves.pictures import pictures
from analysis.curves.tables import cell_table, cells_as_text
