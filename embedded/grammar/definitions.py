"""Definitions: what a thing is, which thing is described, its category, whether it is one of a kind, differences."""

from random import Random

from embedded.grammar.nouns import CATEGORY, COUNTED, DEFINITION, MEMBERS, NOUNS, ONE, a, may_overlap
from embedded.grammar.task import Answer, Slots, Task, about, lookup
from embedded.grammar.text import lines, pairs

SKILL = "definitions"
_THINGS = {a(noun): noun for noun in NOUNS}
_CLUES = {text: noun for noun, text in DEFINITION.items()}
_KINDS = {ONE[category]: category for category in MEMBERS}
_TOOLS = {a(noun): DEFINITION[noun].split(" for ", 1)[1] for noun in MEMBERS["tool"]}
_USES = _TOOLS | pairs("""
a key: opening a lock; a lamp: giving light; a cup: drinking; an umbrella: staying dry in the rain
a pencil: writing and drawing; a bed: sleeping; a spoon: eating soup; a clock: telling the time
a bag: carrying things; a book: reading; a chair: sitting; a plane: flying; a piano: making music""")


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _defined(thing: str) -> Answer:
    return Answer(DEFINITION[_THINGS[thing]], f"{_upper(thing)} is {{}}.")


def _named(clue: str) -> Answer:
    return Answer(a(_CLUES[clue]), "That is {}.")


def _kind(thing: str) -> Answer:
    return Answer(ONE[CATEGORY[_THINGS[thing]]], f"{_upper(thing)} is {{}}.")


def _is_kind(slots: Slots, _: Random) -> Answer | None:
    thing, kind = slots["thing"], slots["kind"]
    actual = ONE[CATEGORY[_THINGS[thing]]]
    if may_overlap(_KINDS[kind], CATEGORY[_THINGS[thing]]):
        return None
    if kind == actual:
        return Answer("Yes", f"{{}}, {thing} is {kind}.")
    return Answer("No", f"{{}}, {thing} is not {kind} but {actual}.")


def _draw_is_kind(rng: Random) -> Slots:
    thing = rng.choice(tuple(_THINGS))
    actual = ONE[CATEGORY[_THINGS[thing]]]
    return {"thing": thing, "kind": actual if rng.random() < 0.5 else rng.choice(tuple(_KINDS))}


def _difference(slots: Slots, _: Random) -> Answer | None:
    left, right = slots["left"], slots["right"]
    one, two = _THINGS[left], _THINGS[right]
    if one == two or CATEGORY[one] != CATEGORY[two]:
        return None
    return Answer(f"{_upper(left)} is {DEFINITION[one]}, and {right} is {DEFINITION[two]}", "{}.")


def _in_common(slots: Slots, _: Random) -> Answer | None:
    left, right = slots["left"], slots["right"]
    one, two = _THINGS[left], _THINGS[right]
    if one == two or CATEGORY[one] != CATEGORY[two]:
        return None
    return Answer(f"Each of them is {ONE[CATEGORY[one]]}", "{}.")


def _draw_pair(rng: Random) -> Slots:
    nouns = [noun for noun in MEMBERS[rng.choice(tuple(MEMBERS))] if noun in COUNTED]
    left, right = (rng.choice(nouns or NOUNS) for _ in range(2))
    return {"left": a(left), "right": a(right)}


ALL = tuple(_THINGS)
PAIR = {"left": ALL, "right": ALL}
# fmt: off
TASKS = (
    about("define", SKILL, 3, "thing", ALL, _defined, """
        What is {thing}?
        Explain what {thing} is.
        Define the following: {thing}.
        Tell me what {thing} is.
        Describe {thing} in one sentence.
        Give me a definition of {thing}.
        What exactly is {thing}?
        In simple words, what is {thing}?
        How would you explain to a child what {thing} is?""", ("And what is {thing}?", "What about {thing}?"), 2.0),
    about("guess", SKILL, 3, "clue", tuple(_CLUES), _named, """
        What do you call {clue}?
        Which word means {clue}?
        Guess what this is: {clue}.
        Name this: {clue}.
        What is the word for {clue}?
        I am thinking of {clue}. What is it?
        Find the word for this: {clue}.""", (), 1.5),
    about("category", SKILL, 2, "thing", ALL, _kind, """
        What kind of thing is {thing}?
        Which category does {thing} belong to?
        To which group does {thing} belong?
        Tell me what kind of thing {thing} is.
        Name the category of {thing}.
        Put {thing} into a category.
        What type of thing is {thing}?""", ("And {thing}?", "What about {thing}?")),
    Task("is_kind", SKILL, 2, lines("""
        Is {thing} {kind}?
        Would you say that {thing} is {kind}?
        Is it true that {thing} is {kind}?
        Can we call {thing} {kind}?
        Tell me whether {thing} is {kind}.
        Am I right that {thing} is {kind}?
        Say yes or no: is {thing} {kind}?"""), {"thing": ALL, "kind": tuple(_KINDS)}, _is_kind, _draw_is_kind,
        split="filling", weight=1.5),
    Task("difference", SKILL, 5, lines("""
        What is the difference between {left} and {right}?
        How is {left} different from {right}?
        Explain the difference between {left} and {right}.
        Compare {left} with {right}.
        Tell me how {left} and {right} differ.
        In what way is {left} not like {right}?"""), PAIR, _difference, _draw_pair, split="filling"),
    Task("in_common", SKILL, 4, lines("""
        What do {left} and {right} have in common?
        How are {left} and {right} alike?
        In what way is {left} like {right}?
        Tell me what {left} and {right} have in common.
        Why do {left} and {right} belong together?"""), PAIR, _in_common, _draw_pair, split="filling"),
    lookup("use", SKILL, 2, "thing", _USES, "You can use {thing} for {value}.", """
        What is {thing} used for?
        What can I use {thing} for?
        Tell me what {thing} is for.
        Why do people use {thing}?
        What do people do with {thing}?
        For what do you need {thing}?""", ("And {thing}?",), 0.7),
    lookup("needed_for", SKILL, 2, "job", {job: thing for thing, job in _USES.items()}, "For {job} you need {value}.",
        """
        What do I need for {job}?
        Which thing is used for {job}?
        Tell me what I need for {job}.
        What would you use for {job}?
        Name something that is used for {job}.""", ("And for {job}?",), 0.7),
)
