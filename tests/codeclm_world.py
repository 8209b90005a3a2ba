"""A world for CodecLM behind the fake server: what a strong model, a target and a judge say to the shipped prompts.

Everything follows from the request. How hard an instruction is for the target follows from its text (`decided`),
so that a test knows how each loop must end. Seven in ten basic instructions decide at once, as the paper has it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

SEED = re.compile(r"^You analyse .*Instruction: (.*)$", re.DOTALL)
RUBRICS = re.compile(r"^You are a judge, and an expert in this use case: (.*)\. Its instructions")
WRITE = re.compile(
    r"^You write instructions .* Write (\d+) of them for this use case: (.*)\. To answer them.*: (.*)\.\n"
)
IMPROVE = re.compile(r"<action>\n(.*)\n</action>\n\n<instruction>\n(.*)\n</instruction>", re.DOTALL)
JUDGE = re.compile(r"<question>\n(.*)\n</question>\n\n<answer_1>\n(.*?):.*\n</answer_1>\n\n<answer_2>", re.DOTALL)

JUNK = '{"reply": ['


def chance(*of: Any) -> float:
    """A number in [0, 1) that follows from these."""
    return int.from_bytes(hashlib.blake2b(repr(of).encode(), digest_size=6).digest()) / 2**48


def decided(instruction: str) -> str:
    """What the judge finds: strong, target, close, or unreadable."""
    applied = instruction.count(" Also, ")
    bounds = {"strong": 0.68 if applied == 0 else 0.4, "target": 0.03, "unreadable": 0.02}
    drawn = chance("decided", instruction)
    for verdict, share in bounds.items():
        drawn -= share
        if drawn < 0:
            return verdict
    return "close"


def say(model: str, text: str, seed: int) -> str:
    """The reply of a model to a prompt."""
    if found := SEED.search(text):
        return encoded(found[1], seed)
    if found := RUBRICS.search(text):
        return rubrics(found[1], seed)
    if found := WRITE.search(text):
        return instructions(int(found[1]), found[2], found[3], seed)
    if text.startswith("You improve"):
        found = IMPROVE.search(text)
        return f"{found[2]} Also, {found[1].lower()}"
    if text.startswith("You check"):
        return verdict(*JUDGE.search(text).groups())
    return f"{model}: an answer to {text}"


def encoded(instruction: str, seed: int) -> str:
    """Metadata out of the instruction's own words; junk for one seed in thirty, and in one reply of ten."""
    if chance("seed", instruction) < 1 / 30 or chance("reply", instruction, seed) < 0.1:
        return JUNK
    words = re.findall(r"[a-z]{3,}", instruction.lower()) or ["nothing"]
    label = "Task" if chance("label", instruction) < 0.5 else "**Use Case**"
    skills = ", ".join(f"{word} sense" for word in sorted(words, key=len)[-4:])
    return f"{label}: {' '.join(words[:3])}\nSkills: {skills}"


def rubrics(use_case: str, seed: int) -> str:
    """Four of each; one use case in fifty gives rubrics alone."""
    four = "\n".join(f"{k}. It has {k} parts of {use_case}." for k in range(1, 5))
    if chance("rubrics", use_case) < 0.02 or chance("rubrics", use_case, seed) < 0.1:
        return f"Rubrics:\n{four}"
    return f"**Rubrics:**\n{four}\n\n**Actions:**\n" + "\n".join(f"{k}. Give {k} examples." for k in range(1, 5))


def instructions(count: int, use_case: str, skills: str, seed: int) -> str:
    """A list, in one case of ten one item short, and in another with one too many."""
    drawn = chance("list", use_case, skills, seed)
    listed = count - 1 if drawn < 0.1 else count + 1 if drawn < 0.2 else count
    return "Sure.\n\n" + "\n".join(f"{k}. Help with {use_case}, part {k}, by {skills}." for k in range(1, listed + 1))


def verdict(instruction: str, first: str) -> str:
    """Two marks; the judge likes the first answer by one mark more than it should."""
    found = decided(instruction)
    if found == "unreadable":
        return "Both are good."
    strong, target = {"strong": (9, 4), "target": (4, 9), "close": (7, 6)}[found]
    return f"{strong + 1} {target}" if first == "strong" else f"{target + 1} {strong}"


def reply(path: str, body: Any) -> tuple[int, Any]:
    """As `fake_replies.reply`, for chats alone; a token has four characters."""
    assert path == "/v1/chat/completions"
    text = body["messages"][-1]["content"]
    said = say(body["model"], text, body.get("seed", 0))
    tokens = {"prompt_tokens": len(text) // 4, "completion_tokens": len(said) // 4}
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    return 200, {"object": "chat.completion", "choices": [choice], "usage": tokens}
