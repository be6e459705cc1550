"""Which runs stand for which cell and what they cost (completeness), intervals over seeds, and pairs of seeds."""

from analysis.statistics import completeness, intervals, pairs
from analysis.statistics.completeness import CELL_OF, COUNTED, DECODER_EVALUATIONS, EPOCH_SECONDS, SETTING, finished
