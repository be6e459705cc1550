"""Paired differences over seeds, intervals that stay valid however often one looks, and what they prove."""

from src.inference.calibrate import critical_values
from src.inference.contrasts import Contrast, at_margin, contrasts, judged_by
from src.inference.design import PREFIX, STUDY_KEYS, Design
from src.inference.intervals import Interval, t_interval, t_sequence
from src.inference.pairs import Paired, differences, discordance, paired
from src.inference.runs import MACHINE, Run, comparable, naming, opponents, paired_runs, plain, representative
from src.inference.verdict import Judgement, Verdict, judge, pairs_of_new_study
from src.inference.words import (
    UNITS,
    Answer,
    answer,
    by_group,
    command,
    ends,
    epoch_seconds,
    place,
    proves,
    sides,
    stated,
    table,
    telling,
    versus,
)
