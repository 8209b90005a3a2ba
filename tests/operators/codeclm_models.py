"""The models of a CodecLM loop, as functions: `from operators.codeclm_models import World`."""

import re

from operators.fakes import FakeContext
from operators.talker import Talker, made

from engine.registry import operator

LOOP = operator("generate", "codeclm")
ACTIONS = ["ask for a table", "add a deadline", "forbid sugar", "want two ways"]
ROW = {
    "instruction": "Make tea.", "actions": ACTIONS, "metadata_id": "m1", "use_case": "tea", "skills": ["brewing"],
}  # fmt: skip
REWRITE = re.compile(r"<action>\n(.*)\n</action>\n\n<instruction>\n(.*)\n</instruction>", re.DOTALL)
JUDGE = re.compile(
    r"<question>\n(.*)\n</question>\n\n<answer_1>\n(.*)\n</answer_1>\n\n<answer_2>\n(.*)\n</answer_2>", re.DOTALL
)


def strong(prompt, _):
    """Adds the action to an instruction that it is to rewrite, and answers any other."""
    found = REWRITE.search(prompt)
    return f"{found[2]} [{found[1]}]" if found else f"strong: {prompt}"


def marks(of):
    """A judge: `of(strong or target, number of applied actions)` marks each answer, wherever it stands."""

    def say(prompt, _):
        question, *answers = JUDGE.search(prompt).groups()
        return " ".join(f"{of(answer.partition(':')[0], question.count('[')):g}" for answer in answers)

    return Talker(say)


class World:
    """The three models of a loop."""

    def __init__(self, judge, *, strong=strong, target=lambda prompt, _: f"target: {prompt}"):
        self.strong, self.target, self.judge = Talker(strong), Talker(target), judge

    def run(self, *, row_id="r0", seed=17, **params):
        models = {"strong": self.strong, "target": self.target, "judge": self.judge}
        given = {**ROW, "row_id": row_id, **params.pop("row", {})}
        (row,) = made(LOOP, given, context=FakeContext(seed, models=models), **params)
        return row

    @property
    def rewrites(self):
        return [call for call in self.strong.asked if REWRITE.search(call.prompt)]

    @property
    def calls(self):
        """Rewrites, answers of the strong model, of the target, verdicts."""
        rewrites = len(self.rewrites)
        return rewrites, len(self.strong.asked) - rewrites, len(self.target.asked), len(self.judge.asked)


def constant(strong, target):
    return marks(lambda who, _: {"strong": strong, "target": target}[who])


def hard_from(complexity):
    """The target fails as soon as so many actions are applied."""
    return marks(lambda who, applied: 3 if who == "target" and applied >= complexity else 8)
