"""Which runs stand for which cell (completeness), what an epoch costs, intervals over seeds, and pairs of seeds."""

from analysis.statistics import completeness, cost, intervals, pairs
from analysis.statistics.completeness import CELL_OF, COUNTED, SETTING, finished
