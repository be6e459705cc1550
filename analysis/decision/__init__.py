"""Topic: the decision. Which value of a factor is enough, with error control, at equal epochs, work and time."""

from analysis.decision.numbers import Decision, decide, differences
from analysis.decision.pictures import pictures, spaced
from analysis.decision.words import Card, answers, cards, margins, matched_table, scope, told, verdict_table
