"""All tasks of the grammar, and the system prompts that name a skill."""

from random import Random

from embedded.grammar import (
    advice,
    arithmetic,
    code,
    comparisons,
    definitions,
    facts,
    letters,
    lists,
    rewriting,
    stories,
    words,
)
from embedded.grammar.task import Task
from engine.operators.generators._magpie_tasks import SYSTEM_TEXTS

TASKS: tuple[Task, ...] = (
    *arithmetic.TASKS,
    *words.TASKS,
    *letters.TASKS,
    *lists.TASKS,
    *definitions.TASKS,
    *comparisons.TASKS,
    *rewriting.TASKS,
    *stories.TASKS,
    *code.TASKS,
    *facts.TASKS,
    *advice.TASKS,
)
SKILLS = tuple(dict.fromkeys(task.skill for task in TASKS))
BY_SKILL = {skill: tuple(task for task in TASKS if task.skill == skill) for skill in SKILLS}

TOPICS = {
    "math": "math and numbers",
    "words": "words and grammar",
    "spelling": "letters and spelling",
    "lists": "lists",
    "definitions": "definitions",
    "comparisons": "comparisons",
    "rewriting": "rewriting sentences",
    "writing": "stories and short texts",
    "code": "code",
    "facts": "facts",
    "advice": "advice",
    "talk": "small talk",
}
GENERAL = ("You are a helpful assistant.", "You are a friendly assistant who answers in short sentences.")
SPECIAL = (
    "You are a helpful assistant for {topic}.",
    "You are an expert in {topic}.",
    "You answer questions about {topic}.",
    "The user asks about {topic}. Answer them well.",
    "This chat is about {topic}.",
    "You are an AI assistant that is specialized in {topic}.",
)


def system_prompt(task: Task, rng: Random) -> str:
    """A system prompt that names the task's skill, or one of those that Magpie sends for it."""
    name = "translation" if task.name == "translate" else task.skill
    if name in SYSTEM_TEXTS and rng.random() < 0.5:
        return SYSTEM_TEXTS[name]
    return rng.choice(SPECIAL).format(topic=TOPICS[task.skill])
