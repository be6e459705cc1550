"""Which runs stand for which cell and what they cost (completeness), intervals over seeds, and amounts of training."""

from analysis.statistics import amounts, completeness, intervals
from analysis.statistics.amounts import AXES
from analysis.statistics.completeness import CELL_OF, COUNTED, DECODER_EVALUATIONS, EPOCH_SECONDS, SETTING, finished
