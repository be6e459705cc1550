"""Topic: stability. How steadily runs train, and how many diverge."""

from analysis.stability.numbers import stability_by_cell
from analysis.stability.pictures import pictures
from analysis.stability.tables import divergence, stability_table
