"""Topic: the decision. Which value of a factor is enough, with error control, at equal epochs, work and time."""

from analysis.decision.cards import Card, answer_text, cards, margins, matched_table, scope, verdict_table
from analysis.decision.numbers import Decision, decide, differences
from analysis.decision.pictures import pictures
