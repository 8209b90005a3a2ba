"""Letters: first and last letters, spelling, counting, the alphabet, capital letters, order of words."""

from random import Random

from embedded.grammar.nouns import ARTICLE, NOUNS
from embedded.grammar.task import Answer, Slots, Task, about, lookup
from embedded.grammar.text import lines
from embedded.grammar.vocabulary import VERBS
from embedded.grammar.world import AFTER, ALPHABET

SKILL = "spelling"
WORDS = tuple(word for word in (*NOUNS, *VERBS) if 3 <= len(word) <= 7)
SHORT = tuple(word for word in WORDS if len(word) <= 5)


def _in_order(keys: str, form: str) -> Task:
    def solve(slots: Slots, _: Random) -> Answer | None:
        words = sorted(slots[k] for k in keys)
        return Answer(", ".join(words), form) if len({w[0] for w in words}) == len(keys) else None

    return Task(
        "order_words",
        SKILL,
        4,
        lines("""
        Sort these words: {a}, {b}, {c}.
        Put the words {a}, {b} and {c} in alphabetical order.
        Sort {a}, {b} and {c} from A to Z.
        Arrange these words alphabetically: {a}, {b}, {c}.
        Order the words {a}, {b} and {c} by the alphabet.
        Write {a}, {b} and {c} in alphabetical order."""),
        dict.fromkeys(keys, SHORT),
        solve,
        split="filling",
        weight=2.0,
    )


def _first_word(slots: Slots, _: Random) -> Answer | None:
    a, b = slots["a"], slots["b"]
    return Answer(min(a, b), f"The word {{}} comes before {max(a, b)}.") if a[0] != b[0] else None


def _contains(slots: Slots, _: Random) -> Answer:
    word, letter = slots["word"], slots["letter"]
    if letter in word:
        return Answer("Yes", f"{{}}, {word} has the letter {letter}.")
    return Answer("No", f"{{}}, {word} does not have the letter {letter}.")


def _draw_contains(rng: Random) -> Slots:
    word = rng.choice(SHORT)
    return {"word": word, "letter": rng.choice(word if rng.random() < 0.5 else ALPHABET)}


def _starts_with_vowel(word: str) -> Answer:
    return Answer("Yes" if word[0] in "aeiou" else "No", f"{{}}, {word} starts with {word[0]}.")


# fmt: off
TASKS = (
    lookup("first_letter", SKILL, 1, "word", {w: w[0] for w in WORDS}, "The first letter of {word} is {value}.", """
        What is the first letter of {word}?
        What letter does the word {word} start with?
        Which letter comes first in {word}?
        Name the first letter of the word {word}.
        Tell me the first letter of {word}.
        Which letter does {word} begin with?
        Give me the first letter in the word {word}.""", ("And of {word}?", "What about {word}?")),
    lookup("last_letter", SKILL, 1, "word", {w: w[-1] for w in WORDS}, "The last letter of {word} is {value}.", """
        What is the last letter of {word}?
        What letter does the word {word} end with?
        Which letter comes last in {word}?
        Name the last letter of the word {word}.
        Tell me the last letter of {word}.
        Which letter does {word} end with?
        Give me the last letter in the word {word}.""", ("And of {word}?", "What about {word}?")),
    lookup("second_letter", SKILL, 3, "word", {w: w[1] for w in WORDS}, "The second letter of {word} is {value}.", """
        What is the second letter of {word}?
        Which letter comes second in {word}?
        Name the second letter of the word {word}.
        Tell me the second letter of {word}.
        Which is the second letter in the word {word}?
        Give me the second letter in the word {word}.""", ("And of {word}?",)),
    lookup("spell", SKILL, 2, "word", {w: "-".join(w) for w in WORDS}, "The word {word} is spelled {value}.", """
        Spell the word {word}.
        How do you spell {word}?
        Spell {word} for me.
        How is the word {word} spelled?
        Spell {word} letter by letter.
        Write the letters of {word} one by one.""", ("And {word}?", "Now spell {word}."), 1.5),
    lookup("count_letters", SKILL, 2, "word", {w: str(len(w)) for w in WORDS}, "The word {word} has {value} letters.",
        """
        How many letters are in {word}?
        How many letters does the word {word} have?
        Count the letters in {word}.
        Count the letters of the word {word}.
        What is the number of letters in {word}?
        How long is the word {word}?
        Tell me how many letters {word} has.""", ("And {word}?", "How many does {word} have?"), 1.5),
    lookup("capitals", SKILL, 2, "word", {w: w.upper() for w in WORDS}, "In capital letters: {value}.", """
        Write {word} in capital letters.
        Write the word {word} in uppercase.
        Change {word} to capital letters.
        Turn {word} into uppercase.
        What is {word} in capital letters?
        Put the word {word} in capitals.""", ("And {word}?", "Now do {word}.")),
    lookup("backwards", SKILL, 4, "word", {w: w[::-1] for w in SHORT if len(w) <= 4},
        "The word {word} backwards is {value}.", """
        Write {word} backwards.
        Spell {word} backwards.
        Reverse the word {word}.
        What is {word} backwards?
        What is {word} spelled in reverse?
        Turn the word {word} around.""", ("And {word}?",)),
    about("vowel_start", SKILL, 2, "word", WORDS, _starts_with_vowel, """
        Does {word} start with a vowel?
        Is the first letter of {word} a vowel?
        Does the word {word} begin with a vowel?
        Tell me whether {word} starts with a vowel.
        Say yes or no: {word} starts with a vowel.
        Is it true that {word} begins with a vowel?"""),
    lookup("article", SKILL, 1, "word", {w: p.split()[0] for w, p in ARTICLE.items()}, "You say {value} {word}.", """
        Is it a or an before {word}?
        Which article goes with {word}, a or an?
        Do you say a {word} or an {word}?
        Choose a or an for the word {word}.
        Which is right, a {word} or an {word}?
        Does {word} take a or an?""", ("And {word}?",)),
    lookup("next_letter", SKILL, 1, "letter", AFTER,
        "The letter {value} comes after {letter}.", """
        Which letter comes after {letter}?
        What letter comes after {letter} in the alphabet?
        Name the letter after {letter}.
        What is the next letter after {letter}?
        Tell me the letter that follows {letter}.
        Which letter follows {letter} in the alphabet?""", ("And after {letter}?",), 0.5),
    lookup("previous_letter", SKILL, 2, "letter", {after: letter for letter, after in AFTER.items()},
        "The letter {value} comes before {letter}.", """
        Which letter comes before {letter}?
        What letter comes before {letter} in the alphabet?
        Name the letter before {letter}.
        What is the letter right before {letter}?
        Tell me the letter in front of {letter}.
        Which letter stands before {letter} in the alphabet?""", ("And before {letter}?",), 0.5),
    _in_order("abc", "In order: {}."),
    Task("first_word", SKILL, 3, lines("""
        Which word comes first in the dictionary, {a} or {b}?
        Which comes first in the alphabet, {a} or {b}?
        Tell me which word comes first: {a} or {b}.
        Does {a} or {b} come first in alphabetical order?
        In a dictionary, which word is first, {a} or {b}?
        Which of the words {a} and {b} comes first in the dictionary?"""), {"a": SHORT, "b": SHORT}, _first_word,
        split="filling", weight=2.0, follow=("And {a} or {b}?",)),
    Task("contains", SKILL, 3, lines("""
        Does {word} contain the letter {letter}?
        Is there a letter {letter} in {word}?
        Does the word {word} have the letter {letter}?
        Can you find the letter {letter} in {word}?
        Tell me whether the word {word} has a letter {letter}.
        Is the letter {letter} part of the word {word}?"""), {"word": SHORT, "letter": tuple(ALPHABET)}, _contains,
        _draw_contains, split="filling", weight=1.5),
)
