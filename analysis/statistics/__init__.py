"""Which runs stand for which cell, and means, intervals and paired differences over seeds."""

from analysis.statistics.completeness import (
    CELL_OF,
    COUNTED,
    SETTING,
    count,
    finished,
    mark,
    missing,
    nll_kind,
    scoreless,
    select_sweeps,
    set_aside,
    setting_params,
    unfinished,
    varying,
)
from analysis.statistics.cost import DECODER_EVALUATIONS, EPOCH_SECONDS
from analysis.statistics.intervals import INTERVAL, intervals, kaplan_meier_median, sd_interval, t_quantile, wilson
from analysis.statistics.pairs import paired, pairs_left_out, with_machine

__all__ = [
    "CELL_OF",
    "COUNTED",
    "DECODER_EVALUATIONS",
    "EPOCH_SECONDS",
    "INTERVAL",
    "SETTING",
    "count",
    "finished",
    "intervals",
    "kaplan_meier_median",
    "mark",
    "missing",
    "nll_kind",
    "paired",
    "pairs_left_out",
    "scoreless",
    "sd_interval",
    "select_sweeps",
    "set_aside",
    "setting_params",
    "t_quantile",
    "unfinished",
    "varying",
    "wilson",
    "with_machine",
]
