"""Topic: what runs reach and what it costs. Curves by epoch, final values by cell, and differences between K."""

from analysis.curves.numbers import gains_by_cell, results_by_cell
from analysis.curves.pictures import pictures
from analysis.curves.words import cell_table, cells_as_text, gain_table, nll_sentences, pairs_note
