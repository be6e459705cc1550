"""Paired differences over seeds, intervals that stay valid however often one looks, and what they prove."""

from src.inference.answer import (
    ANSWER,
    CONTRASTS,
    UNITS,
    Answer,
    Remedy,
    answers,
    by_group,
    command,
    enough,
)
from src.inference.calibrate import critical_values, t_sequence
from src.inference.contrasts import Contrast, contrasts, labels
from src.inference.design import PREFIX, STUDY_KEYS, Design
from src.inference.pairs import Paired, paired
from src.inference.runs import MACHINE, Run, comparable, naming, opponents, paired_runs, plain, representative
from src.inference.verdict import Interval, Judgement, Verdict, fewest, judge
