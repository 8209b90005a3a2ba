"""Lists: members of a category, odd ones out, picking from a list, adding, removing, turning it around, joining."""

from random import Random

from embedded.grammar.nouns import CATEGORY, LISTED, MANY, MEMBERS, NOUNS, ONE, may_overlap
from embedded.grammar.task import Answer, Slots, Task
from embedded.grammar.text import lines
from embedded.grammar.world import NUMBER_WORDS, ORDINALS

SKILL = "lists"
_COUNTS = ("two", "three", "four", "five")
_BY_MANY = {MANY[category]: category for category in LISTED}
_BY_ONE = {ONE[category]: category for category in LISTED}
PLAIN = tuple(noun for noun in NOUNS if len(noun) <= 6)


def joined(words: list[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def _members(slots: Slots, rng: Random) -> Answer:
    nouns, count = MEMBERS[_BY_MANY[slots["many"]]], NUMBER_WORDS.index(slots["count"])
    chosen = sorted(rng.sample(range(len(nouns)), count))
    listed = joined([nouns[i] for i in chosen])
    return Answer(listed, f"{slots['count'].capitalize()} {slots['many']} are {{}}.")


def items(text: str) -> list[str]:
    """The words of an enumeration, whatever stands before ` are ` left out."""
    listed = text.split(" are ", 1)[-1].strip().rstrip(".").lower()
    return [item.strip() for item in listed.replace(" and ", ", ").split(",") if item.strip()]


def _lists_members(slots: Slots, text: str) -> bool:
    found = items(text)
    allowed = MEMBERS[_BY_MANY[slots["many"]]]
    return len(found) == len(set(found)) == NUMBER_WORDS.index(slots["count"]) and all(i in allowed for i in found)


def _odd(slots: Slots, _: Random) -> Answer | None:
    words = [slots[k] for k in "abcd"]
    kinds = [CATEGORY[word] for word in words]
    odd = [word for word, kind in zip(words, kinds, strict=True) if kinds.count(kind) == 1]
    most = max(kinds, key=kinds.count)
    if len(set(words)) < 4 or len(odd) != 1 or kinds.count(most) != 3 or may_overlap(most, CATEGORY[odd[0]]):
        return None
    return Answer(odd[0], f"The word {{}} does not fit, because the others are {MANY[most]}.")


def _draw_odd(rng: Random) -> Slots:
    category, other = rng.sample(LISTED, 2)
    words = [*rng.sample(MEMBERS[category], 3), rng.choice(MEMBERS[other])]
    rng.shuffle(words)
    return dict(zip("abcd", words, strict=True))


def _which(slots: Slots, _: Random) -> Answer | None:
    category = _BY_ONE[slots["one"]]
    kinds = [CATEGORY[slots[k]] for k in "abc"]
    if any(may_overlap(category, kind) for kind in kinds):
        return None
    fitting = [slots[k] for k in "abc" if CATEGORY[slots[k]] == category]
    return Answer(fitting[0], f"The word {{}} is {slots['one']}.") if len(fitting) == 1 else None


def _draw_which(rng: Random) -> Slots:
    categories = rng.sample(LISTED, 3)
    words = {key: rng.choice(MEMBERS[category]) for key, category in zip("abc", categories, strict=True)}
    return words | {"one": ONE[rng.choice(categories)]}


def _three(slots: Slots) -> list[str] | None:
    words = [slots[k] for k in "abc"]
    return words if len(set(words)) == 3 else None


def _at(slots: Slots, _: Random) -> Answer | None:
    words = _three(slots)
    return Answer(words[ORDINALS.index(slots["ordinal"])], f"The {slots['ordinal']} word is {{}}.") if words else None


def _reversed(slots: Slots, _: Random) -> Answer | None:
    words = _three(slots)
    return Answer(", ".join(words[::-1]), "In reverse: {}.") if words else None


def _and(slots: Slots, _: Random) -> Answer | None:
    words = _three(slots)
    return Answer(joined(words), "Joined with and: {}.") if words else None


def _without(slots: Slots, _: Random) -> Answer | None:
    words = _three(slots)
    if words is None or slots["item"] not in words:
        return None
    return Answer(", ".join(word for word in words if word != slots["item"]), "The list is now {}.")


def _draw_without(rng: Random) -> Slots:
    words = rng.sample(PLAIN, 3)
    return dict(zip("abc", words, strict=True)) | {"item": rng.choice(words)}


def _with(slots: Slots, _: Random) -> Answer | None:
    words = _three(slots)
    if words is None or slots["item"] in words:
        return None
    return Answer(", ".join([*words, slots["item"]]), "The list is now {}.")


THREE = dict.fromkeys("abc", PLAIN)
# fmt: off
TASKS = (
    Task("members", SKILL, 2, lines("""
        Name {count} {many}.
        List {count} {many}.
        Give me {count} {many}.
        Which {count} {many} do you know?
        Tell me {count} {many}.
        Write down {count} {many}.
        What are {count} {many}?
        I need {count} {many} for a list.
        Think of {count} {many}."""), {"count": _COUNTS, "many": tuple(_BY_MANY)}, _members, check=_lists_members,
        weight=2.0, follow=("And {count} {many}?", "Now name {count} {many}.")),
    Task("odd_one_out", SKILL, 4, lines("""
        Which word does not belong: {a}, {b}, {c}, {d}?
        Find the odd one out: {a}, {b}, {c}, {d}.
        Which of these does not fit: {a}, {b}, {c}, {d}?
        Pick the word that does not fit: {a}, {b}, {c}, {d}.
        Which one is different: {a}, {b}, {c} or {d}?
        What is the odd one out of {a}, {b}, {c} and {d}?
        Tell me which word does not belong with the others: {a}, {b}, {c}, {d}."""), dict.fromkeys("abcd", NOUNS),
        _odd, _draw_odd, split="filling", weight=1.5),
    Task("which_is", SKILL, 2, lines("""
        Which of these is {one}: {a}, {b} or {c}?
        Which word is {one}: {a}, {b}, {c}?
        Find {one} in this list: {a}, {b}, {c}.
        Pick {one} from {a}, {b} and {c}.
        Which one is {one}, {a}, {b} or {c}?
        What is {one}: {a}, {b} or {c}?
        Among {a}, {b} and {c}, which is {one}?"""), dict.fromkeys("abc", NOUNS) | {"one": tuple(_BY_ONE)}, _which,
        _draw_which, split="filling", weight=1.5),
    Task("at_place", SKILL, 2, lines("""
        What is the {ordinal} word in this list: {a}, {b}, {c}?
        Which word is {ordinal} in the list {a}, {b}, {c}?
        Give me the {ordinal} item of this list: {a}, {b}, {c}.
        Here is a list: {a}, {b}, {c}. Which word is {ordinal}?
        Pick the {ordinal} word from {a}, {b}, {c}.
        Tell me the {ordinal} word of the list {a}, {b}, {c}."""), THREE | {"ordinal": ORDINALS[:3]}, _at,
        split="filling"),
    Task("reverse_list", SKILL, 3, lines("""
        Reverse this list: {a}, {b}, {c}.
        Turn the list {a}, {b}, {c} around.
        Write this list in reverse order: {a}, {b}, {c}.
        List these words from last to first: {a}, {b}, {c}.
        Give me the list {a}, {b}, {c} in reverse.
        What is {a}, {b}, {c} in reverse order?"""), THREE, _reversed, split="filling"),
    Task("join_list", SKILL, 2, lines("""
        Join these words with and: {a}, {b}, {c}.
        Write the list {a}, {b}, {c} with and before the last word.
        Put these words together with and: {a}, {b}, {c}.
        Connect the words {a}, {b}, {c} with and.
        Make one phrase with and from {a}, {b}, {c}."""), THREE, _and, split="filling", weight=0.7),
    Task("remove_item", SKILL, 3, lines("""
        Remove {item} from this list: {a}, {b}, {c}.
        Take {item} out of the list {a}, {b}, {c}.
        Delete {item} from the list: {a}, {b}, {c}.
        Here is my list: {a}, {b}, {c}. Remove {item}.
        What is left of {a}, {b}, {c} without {item}?
        Drop the word {item} from {a}, {b}, {c}."""), THREE | {"item": PLAIN}, _without, _draw_without,
        split="filling"),
    Task("add_item", SKILL, 2, lines("""
        Add {item} to this list: {a}, {b}, {c}.
        Put {item} at the end of the list {a}, {b}, {c}.
        Here is my list: {a}, {b}, {c}. Add {item}.
        Write the list {a}, {b}, {c} again and add {item}.
        Append {item} to {a}, {b}, {c}.
        I have {a}, {b}, {c} on my list. Add {item} to it."""), THREE | {"item": PLAIN}, _with, split="filling"),
)
