"""Rewriting sentences: politeness, tense, person, negation, questions, swapped names, joined sentences, corrections."""

from collections.abc import Callable
from random import Random

from embedded.grammar.task import Answer, Slots, Task
from embedded.grammar.text import lines, pairs, phrases
from embedded.grammar.vocabulary import GIRLS, NAMES, VERBS

SKILL = "rewriting"
# verb: what may follow it, separated by strokes
_ACTIVITIES = pairs("""
walk: to the park | to school | along the river; play: in the garden | with the dog | chess
cook: soup | rice | dinner for the family; paint: a picture | the door; eat: an apple | bread | a pizza
drink: tea | water | a cup of coffee; read: a book | the news; write: a letter | a story
buy: milk | a new hat | flowers; sing: a song | in the kitchen; ride: a horse | a bicycle; see: a fox | the moon
make: a cake | a plan; find: a key | a coin; drive: to work | a red car; wash: the car | the cups
watch: a film | the birds; swim: in the lake | in the sea; build: a house | a boat; work: in a library | at home
run: in the forest | to the bus; teach: math | music; draw: a cat | a map; bring: a gift | some cheese""")
_DOING = tuple((verb, rest) for verb, rests in _ACTIVITIES.items() for rest in rests.split(" | "))
_PAIRS = {f"{verb} {rest}": (verb, rest) for verb, rest in _DOING}
_PRESENT = {f"{VERBS[verb][1]} {rest}": (verb, rest) for verb, rest in _DOING}
_PAST = {f"{VERBS[verb][0]} {rest}": (verb, rest) for verb, rest in _DOING}
_REQUESTS = phrases("""
close the door; open the window; help me; give me the book; wait for me; turn on the lamp; bring me some water
call me later; pass the bread; clean the table; show me the way; send me the letter; lend me a pencil
speak more slowly; sit down; be quiet; read the text again; come with me; carry this bag; wash the cups
feed the cat; hold this rope""")


def _sentence(phrase: str) -> str:
    return phrase[0].upper() + phrase[1:]


def _rewrite(
    table: dict[str, tuple[str, str]], make: Callable[[str, str, str], str]
) -> Callable[[Slots, Random], Answer]:
    def solve(slots: Slots, _: Random) -> Answer:
        verb, rest = table[slots["does"]]
        return Answer(make(slots["name"], verb, rest))

    return solve


def _of_name(
    name: str, complexity: int, table: dict[str, tuple[str, str]], make: Callable[[str, str, str], str], phrasings: str
) -> Task:
    slots = {"name": NAMES, "does": tuple(table)}
    return Task(name, SKILL, complexity, lines(phrasings), slots, _rewrite(table, make), split="filling")


def _polite(slots: Slots, _: Random) -> Answer:
    return Answer(f"Could you please {slots['request'][0].lower()}{slots['request'][1:]}?")


def _joined(slots: Slots, _: Random) -> Answer | None:
    if slots["name"] == slots["other"] or slots["does"] == slots["did"]:
        return None
    return Answer(f"{slots['name']} {slots['does']}, and {slots['other']} {slots['did']}.")


def _renamed(slots: Slots, _: Random) -> Answer | None:
    return Answer(f"{slots['other']} {slots['does']}.") if slots["name"] != slots["other"] else None


def _pronoun(slots: Slots, _: Random) -> Answer:
    return Answer(f"{'She' if slots['name'] in GIRLS else 'He'} {slots['does']}.")


def _fixed(slots: Slots, _: Random) -> Answer:
    return Answer(f"{_sentence(slots['lower'])} {slots['does']}.")


DOES = tuple(_PRESENT)
# fmt: off
TASKS = (
    Task("polite", SKILL, 2, lines("""
        Make this polite: {request}.
        Say this politely: {request}.
        Rewrite this in a polite way: {request}.
        Turn this into a polite question: {request}.
        How can I say this more politely: {request}?
        Ask this in a friendly way: {request}.
        Write a polite version of this: {request}."""), {"request": tuple(_sentence(r) for r in _REQUESTS)}, _polite),
    _of_name("to_past", 3, _PRESENT, lambda n, v, r: f"{n} {VERBS[v][0]} {r}.", """
        Put this into the past tense: {name} {does}.
        Rewrite this in the past: {name} {does}.
        Change this sentence to the past tense: {name} {does}.
        Write this as if it happened yesterday: {name} {does}.
        Turn this into the past tense: {name} {does}.
        What is this sentence in the past tense: {name} {does}?"""),
    _of_name("to_present", 3, _PAST, lambda n, v, r: f"{n} {VERBS[v][1]} {r}.", """
        Put this into the present tense: {name} {does}.
        Rewrite this in the present: {name} {does}.
        Change this sentence to the present tense: {name} {does}.
        Write this as if it happens today: {name} {does}.
        Turn this into the present tense: {name} {does}."""),
    _of_name("to_future", 3, _PRESENT, lambda n, v, r: f"{n} will {v} {r}.", """
        Put this into the future: {name} {does}.
        Rewrite this in the future tense: {name} {does}.
        Change this sentence to the future with will: {name} {does}.
        Write this as if it happens tomorrow: {name} {does}.
        Turn this into the future tense: {name} {does}."""),
    _of_name("negate", 3, _PRESENT, lambda n, v, r: f"{n} does not {v} {r}.", """
        Make this sentence negative: {name} {does}.
        Rewrite this with not: {name} {does}.
        Write the negative of this: {name} {does}.
        Say that this is not so: {name} {does}.
        Turn this into a negative sentence: {name} {does}."""),
    _of_name("to_question", 3, _PRESENT, lambda n, v, r: f"Does {n} {v} {r}?", """
        Make a question from this: {name} {does}.
        Turn this sentence into a question: {name} {does}.
        Rewrite this as a question: {name} {does}.
        Ask whether this is true: {name} {does}.
        Change this into a yes or no question: {name} {does}."""),
    _of_name("to_third_person", 3, _PAIRS, lambda n, v, r: f"{n} {VERBS[v][1]} {r}.", """
        Rewrite this about {name}: I {does}.
        Change I to {name}: I {does}.
        Put this into the third person with {name}: I {does}.
        Write this sentence about {name} instead of me: I {does}.
        Replace I with {name}: I {does}."""),
    _of_name("to_progressive", 3, _PRESENT, lambda n, v, r: f"{n} is {VERBS[v][2]} {r}.", """
        Say that this is happening now: {name} {does}.
        Rewrite this with an ing form: {name} {does}.
        Write this as something that happens right now: {name} {does}.
        Change this to the progressive form: {name} {does}.
        Put this sentence into the progressive: {name} {does}."""),
    Task("join_sentences", SKILL, 4, lines("""
        Join these sentences: {name} {does}. {other} {did}.
        Combine these two sentences with and: {name} {does}. {other} {did}.
        Make one sentence out of two: {name} {does}. {other} {did}.
        Put these sentences together: {name} {does}. {other} {did}.
        Write this as one sentence: {name} {does}. {other} {did}."""),
        {"name": NAMES, "does": DOES, "other": NAMES, "did": DOES}, _joined, split="filling"),
    Task("rename", SKILL, 2, lines("""
        Replace {name} with {other}: {name} {does}.
        Change {name} to {other} in this sentence: {name} {does}.
        Rewrite this about {other}: {name} {does}.
        Write {other} instead of {name}: {name} {does}.
        Put the name {other} into this sentence: {name} {does}."""), {"name": NAMES, "does": DOES, "other": NAMES},
        _renamed, split="filling"),
    Task("pronoun", SKILL, 2, lines("""
        Use a pronoun instead of the name: {name} {does}.
        Replace the name with he or she: {name} {does}.
        Rewrite this with he or she: {name} {does}.
        Write he or she for the name: {name} {does}.
        Change the name to a pronoun: {name} {does}."""), {"name": NAMES, "does": DOES}, _pronoun, split="filling"),
    Task("fix_capital", SKILL, 2, lines("""
        Correct this sentence: {lower} {does}.
        Fix the mistake: {lower} {does}.
        Fix the capital letter: {lower} {does}.
        Correct the writing of the name: {lower} {does}.
        Write this with the right capital letter: {lower} {does}."""),
        {"lower": tuple(name.lower() for name in NAMES), "does": DOES}, _fixed, split="filling"),
)
