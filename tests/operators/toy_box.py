"""A toy white box, a black box that ranks by a function, and the row that `generate: cyclealign` makes of a prompt."""

import math
import re

from operators.fakes import FakeContext
from operators.talker import Talker, made, side

from engine.registry import operator
from engine.request import Answer

CYCLE = operator("generate", "cyclealign")
QUERY = re.compile(r".*=== Conversation ===\n(.*?)\n\n=== Answers ===\n(.*?)\n\nReply with", re.DOTALL)
ANSWER = re.compile(r"^\[([A-Z])\]\n(.*?)(?=\n\n\[[A-Z]\]\n|\Z)", re.DOTALL | re.MULTILINE)


def shown(prompt):
    """The query's answers by their letters."""
    return dict(ANSWER.findall(QUERY.match(prompt)[2]))


def best_first(key):
    """A black box that ranks by `key(answer)`, the highest first."""

    def say(prompt, _):
        answers = shown(prompt)
        return " > ".join(sorted(answers, key=lambda letter: -key(answers[letter])))

    return Talker(say)


class ToyBox(Talker):
    """A white box that says these answers in turn and knows three tokens and the end of a turn."""

    def __init__(self, answers, value=None, logp=None):
        self.logp = logp or {"a": -0.5, "b": -1.0, "c": -3.0, None: -0.2}
        self.left = list(answers)
        self.scored = []
        self.value = value or self.known
        super().__init__(lambda *_: self.left.pop(0))

    def known(self, text):
        return math.fsum(self.logp[token] for token in [*text.split(), None])

    async def reply_loglikelihood(self, messages):
        *before, last = messages
        self.scored.append((tuple(turn["role"] for turn in before), last["content"]))
        return Answer(value=self.value(last["content"]), tokens_out=len(last["content"].split()) + 1)


def cycle(answers, blackbox, *, static=None, dynamic=None, seed=17, whitebox=None, row=None, **params):
    """The row that comes of one prompt."""
    sides = {name: side(rows) for name, rows in (("static", static), ("dynamic", dynamic)) if rows is not None}
    models = {"whitebox": whitebox or ToyBox(answers), "blackbox": blackbox}
    context = FakeContext(seed, models=models, sides=sides)
    given = {"prompt": "Say something.", **(row or {})}
    (found,) = made(CYCLE, given, context=context, **{"n": len(answers), **params})
    return found


def demo(prompt, *ranked):
    """A demonstration whose answers are stored worst first."""
    return {"prompt": prompt, "responses": list(reversed(ranked)), "ranking": list(reversed(range(len(ranked))))}
