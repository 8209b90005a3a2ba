"""The instruction grammar: tasks with right answers, checkers and planted complexity, and the world they speak of."""

from embedded.grammar.judging import is_well_formed, recognise
from embedded.grammar.question import Question

__all__ = ["Question", "is_well_formed", "recognise"]
