"""Topic: stability. How steadily runs train, how many diverge, and how soon they reach a test NLL."""

from analysis.stability.numbers import stability_by_cell
from analysis.stability.pictures import pictures
from analysis.stability.words import divergence_sentences, stability_table, threshold_sentences, threshold_table
