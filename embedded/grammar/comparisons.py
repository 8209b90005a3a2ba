"""Comparisons: of size, speed, weight and heat by fixed orders, and of people whose ages or heights are told."""

from random import Random

from embedded.grammar.arithmetic import numbers
from embedded.grammar.task import Answer, Slots, Task
from embedded.grammar.text import lines
from embedded.grammar.vocabulary import NAMES
from embedded.grammar.world import BY_HEAT, BY_SIZE, BY_SPEED, BY_WEIGHT

SKILL = "comparisons"


def _the(thing: str) -> str:
    return thing if thing in BY_HEAT else f"the {thing}"


def _by_order(order: tuple[str, ...], more: str, less: str) -> tuple[Task, Task]:
    """Which of two is more, and is one more than the other: both answered by the places in `order`."""
    things = {_the(thing): place for place, thing in enumerate(order)}

    def which(slots: Slots, _: Random) -> Answer | None:
        low, high = sorted((slots["left"], slots["right"]), key=things.__getitem__)
        return Answer(high[0].upper() + high[1:], f"{{}} is {more} than {low}.") if low != high else None

    def whether(slots: Slots, _: Random) -> Answer | None:
        left, right = slots["left"], slots["right"]
        if left == right:
            return None
        if things[left] > things[right]:
            return Answer("Yes", f"{{}}, {left} is {more} than {right}.")
        return Answer("No", f"{{}}, {left} is {less} than {right}.")

    slots = {"left": tuple(things), "right": tuple(things)}
    return (
        Task(
            f"which_is_{more}",
            SKILL,
            2,
            lines(f"""
            Which is {more}, {{left}} or {{right}}?
            What is {more}: {{left}} or {{right}}?
            Tell me which is {more}, {{left}} or {{right}}.
            Compare {{left}} and {{right}}. Which is {more}?
            Of {{left}} and {{right}}, which is {more}?
            Is {{left}} or {{right}} {more}?"""),
            slots,
            which,
            split="filling",
            follow=("And {left} or {right}?",),
        ),
        Task(
            f"is_{more}",
            SKILL,
            3,
            lines(f"""
            Is {{left}} {more} than {{right}}?
            Is it true that {{left}} is {more} than {{right}}?
            Would you say that {{left}} is {more} than {{right}}?
            Tell me whether {{left}} is {more} than {{right}}.
            Am I right that {{left}} is {more} than {{right}}?"""),
            slots,
            whether,
            split="filling",
        ),
    )


def _older(slots: Slots, _: Random) -> Answer | None:
    a, b, x, y = slots["a"], slots["b"], int(slots["x"]), int(slots["y"])
    if a == b or x == y:
        return None
    older, younger = (a, b) if x > y else (b, a)
    return Answer(older, f"{{}} is older than {younger}.")


def _younger(slots: Slots, _: Random) -> Answer | None:
    a, b, x, y = slots["a"], slots["b"], int(slots["x"]), int(slots["y"])
    if a == b or x == y:
        return None
    older, younger = (a, b) if x > y else (b, a)
    return Answer(younger, f"{{}} is younger than {older}.")


def _tallest(slots: Slots, _: Random) -> Answer | None:
    a, b, c = (slots[k] for k in "abc")
    return (
        Answer(a, f"{{}} is the tallest, because {a} is taller than {b} and {b} is taller than {c}.")
        if len({a, b, c}) == 3
        else None
    )


def _shortest(slots: Slots, _: Random) -> Answer | None:
    a, b, c = (slots[k] for k in "abc")
    return (
        Answer(c, f"{{}} is the shortest, because {c} is shorter than {b} and {b} is shorter than {a}.")
        if len({a, b, c}) == 3
        else None
    )


AGES = {"a": NAMES, "b": NAMES, "x": numbers(5, 60), "y": numbers(5, 60)}
PEOPLE = dict.fromkeys("abc", NAMES)
# fmt: off
TASKS = (
    *_by_order(BY_SIZE, "bigger", "smaller"),
    *_by_order(BY_SPEED, "faster", "slower"),
    *_by_order(BY_WEIGHT, "heavier", "lighter"),
    *_by_order(BY_HEAT, "hotter", "colder"),
    Task("older", SKILL, 3, lines("""
        {a} is {x} years old and {b} is {y}. Who is older?
        {a} is {x} and {b} is {y} years old. Which of them is older?
        Who is older if {a} is {x} and {b} is {y}?
        {a} is {x} years old. {b} is {y} years old. Who is the older one?
        Tell me who is older: {a} is {x} and {b} is {y}.
        If {a} is {x} years old and {b} is {y}, who is older?"""), AGES, _older, split="filling"),
    Task("younger", SKILL, 3, lines("""
        {a} is {x} years old and {b} is {y}. Who is younger?
        {a} is {x} and {b} is {y} years old. Which of them is younger?
        Who is younger if {a} is {x} and {b} is {y}?
        {a} is {x} years old. {b} is {y} years old. Who is the younger one?
        Tell me who is younger: {a} is {x} and {b} is {y}.
        If {a} is {x} years old and {b} is {y}, who is younger?"""), AGES, _younger, split="filling"),
    Task("tallest", SKILL, 5, lines("""
        {a} is taller than {b}. {b} is taller than {c}. Who is the tallest?
        If {a} is taller than {b} and {b} is taller than {c}, who is the tallest?
        {a} is taller than {b}, and {b} is taller than {c}. Which of them is the tallest?
        Who is the tallest if {a} is taller than {b} and {b} is taller than {c}?
        Tell me who is the tallest: {a} is taller than {b}, and {b} is taller than {c}."""), PEOPLE, _tallest,
        split="filling"),
    Task("shortest", SKILL, 5, lines("""
        {a} is taller than {b}. {b} is taller than {c}. Who is the shortest?
        If {a} is taller than {b} and {b} is taller than {c}, who is the shortest?
        {a} is taller than {b}, and {b} is taller than {c}. Which of them is the shortest?
        Who is the shortest if {a} is taller than {b} and {b} is taller than {c}?
        Tell me who is the shortest: {a} is taller than {b}, and {b} is taller than {c}."""), PEOPLE, _shortest,
        split="filling"),
)
