"""Words: opposites, plurals, forms of verbs and adjectives, rhymes, synonyms, word classes, translations."""

import re
from random import Random

from embedded.grammar.nouns import NOUNS, PLURAL
from embedded.grammar.task import Answer, Slots, Task, lookup
from embedded.grammar.text import lines
from embedded.grammar.vocabulary import COMPARATIVE, OPPOSITE, SUPERLATIVE, SYNONYM, VERBS
from embedded.grammar.world import RHYMES, TRANSLATION

SKILL = "words"
_CLASSES = (
    dict.fromkeys(NOUNS[:80], "a noun") | dict.fromkeys(COMPARATIVE, "an adjective") | dict.fromkeys(VERBS, "a verb")
)
_AMBIGUOUS = (
    "fly",
    "drink",
    "orange",
    "work",
    "play",
    "walk",
    "light",
    "clean",
    "run",
    "hard",
    "fast",
    "dance",
    "paint",
)
CLASS = {word: kind for word, kind in _CLASSES.items() if word not in _AMBIGUOUS}
_RHYMING = tuple(dict.fromkeys(word for group in RHYMES for word in group))
_FOREIGN = tuple(TRANSLATION["Spanish"])


def _rhymes(left: str, right: str) -> bool:
    return left != right and any(left in group and right in group for group in RHYMES)


def _rhyme(slots: Slots, _: Random) -> Answer:
    word = slots["word"]
    return Answer(next(other for other in _RHYMING if _rhymes(word, other)), f"The word {{}} rhymes with {word}.")


def _rhyme_pair(slots: Slots, _: Random) -> Answer | None:
    a, b = slots["a"], slots["b"]
    if a == b:
        return None
    if _rhymes(a, b):
        return Answer("Yes", f"{{}}, {a} rhymes with {b}.")
    return Answer("No", f"{{}}, {a} does not rhyme with {b}.")


def _draw_rhyme_pair(rng: Random) -> Slots:
    a, b = rng.sample(rng.choice(RHYMES), 2) if rng.random() < 0.5 else rng.sample(_RHYMING, 2)
    return {"a": a, "b": b}


def _names_a_rhyme(slots: Slots, text: str) -> bool:
    found = re.match(r"(?:the word )?(\w+)", text.lower())
    return found is not None and _rhymes(slots["word"], found[1])


def _translate(slots: Slots, _: Random) -> Answer:
    value = TRANSLATION[slots["language"]][slots["word"]]
    return Answer(value, f"In {slots['language']}, {slots['word']} is {{}}.")


# fmt: off
TASKS = (
    lookup("opposite", SKILL, 1, "word", OPPOSITE, "The opposite of {word} is {value}.", """
        What is the opposite of {word}?
        Give me the opposite of {word}.
        Which word means the opposite of {word}?
        Name the opposite of the word {word}.
        Tell me a word that is the opposite of {word}.
        What word is the opposite of {word}?
        Find the opposite of {word}.""", ("And of {word}?", "What about {word}?")),
    lookup("synonym", SKILL, 2, "word", SYNONYM, "Another word for {word} is {value}.", """
        What is another word for {word}?
        Give me a synonym for {word}.
        Which word means almost the same as {word}?
        Find a synonym of {word}.
        Name a word that means the same as {word}.
        Tell me another word for {word}.
        What is a synonym of the word {word}?""", ("And for {word}?",)),
    lookup("plural", SKILL, 1, "word", PLURAL, "The plural of {word} is {value}.", """
        What is the plural of {word}?
        Give me the plural of {word}.
        Write the plural form of {word}.
        What do you call more than one {word}?
        Make the word {word} plural.
        Tell me the plural of the word {word}.
        How do you write {word} in the plural?""", ("And of {word}?", "What about {word}?")),
    lookup("singular", SKILL, 2, "word", {p: s for s, p in PLURAL.items() if p != s},
        "The singular of {word} is {value}.", """
        What is the singular of {word}?
        Give me the singular of {word}.
        Write the singular form of {word}.
        Make the word {word} singular.
        What do you call just one of the {word}?
        Tell me the singular of the word {word}.""", ("And of {word}?",)),
    lookup("past", SKILL, 2, "verb", {v: f[0] for v, f in VERBS.items()}, "The past tense of {verb} is {value}.", """
        What is the past tense of {verb}?
        Give me the past tense of {verb}.
        Write the verb {verb} in the past tense.
        Put the verb {verb} into the past.
        Tell me the past form of {verb}.
        How do you write {verb} in the past tense?
        What is the past form of the verb {verb}?""", ("And of {verb}?", "What about {verb}?")),
    lookup("third_person", SKILL, 2, "verb", {v: f[1] for v, f in VERBS.items()}, "I {verb}, but she {value}.", """
        What is the third person form of {verb}?
        How does the verb {verb} change after she?
        Write the verb {verb} as it is used with he or she.
        Give me the third person of {verb}.
        I {verb}, but what does she do?
        Put the verb {verb} into the third person.""", ("And of {verb}?",)),
    lookup("ing_form", SKILL, 2, "verb", {v: f[2] for v, f in VERBS.items()}, "The ing form of {verb} is {value}.",
        """
        What is the ing form of {verb}?
        Write the ing form of the verb {verb}.
        Give me the form of {verb} that ends in ing.
        How do you add ing to {verb}?
        Add ing to the verb {verb}.
        Tell me the ing form of {verb}.""", ("And of {verb}?",)),
    lookup("base_form", SKILL, 3, "verb", {f[0]: v for v, f in VERBS.items() if f[0] != v},
        "It comes from the verb {value}.", """
        Which verb is {verb} the past tense of?
        What is the base form of {verb}?
        Give me the present tense of {verb}.
        The word {verb} is the past of which verb?
        Put {verb} into the present tense.
        Find the base form of the verb {verb}.""", ("And {verb}?",)),
    lookup("comparative", SKILL, 2, "word", COMPARATIVE, "The comparative of {word} is {value}.", """
        What is the comparative of {word}?
        Give me the comparative form of {word}.
        Write the comparative of the adjective {word}.
        Which form of {word} do I use to compare two things?
        Compare two things with the adjective {word}.
        Tell me the comparative form of {word}.""", ("And of {word}?",)),
    lookup("superlative", SKILL, 2, "word", SUPERLATIVE, "The superlative of {word} is {value}.", """
        What is the superlative of {word}?
        Give me the superlative form of {word}.
        Write the superlative of the adjective {word}.
        Which form of {word} is used for the top of a group?
        Tell me the superlative form of {word}.
        Which form of {word} means more than all others?""", ("And of {word}?",)),
    lookup("word_class", SKILL, 3, "word", CLASS, "The word {word} is {value}.", """
        Is {word} a noun, a verb or an adjective?
        What kind of word is {word}?
        Which part of speech is {word}?
        Tell me the word class of {word}.
        Name the part of speech of the word {word}.
        Decide whether {word} is a noun, a verb or an adjective.""", ("And {word}?",)),
    Task("rhyme", SKILL, 3, lines("""
        What rhymes with {word}?
        Give me a word that rhymes with {word}.
        Find a rhyme for {word}.
        Name a word that rhymes with {word}.
        Tell me a rhyme for the word {word}.
        Which word rhymes with {word}?"""), {"word": _RHYMING}, _rhyme, check=_names_a_rhyme,
        follow=("And with {word}?",)),
    Task("rhyme_pair", SKILL, 3, lines("""
        Do {a} and {b} rhyme?
        Does {a} rhyme with {b}?
        Do the words {a} and {b} rhyme?
        Is {b} a rhyme for {a}?
        Tell me whether {a} rhymes with {b}.
        Say yes or no: {a} rhymes with {b}."""), {"a": _RHYMING, "b": _RHYMING}, _rhyme_pair, _draw_rhyme_pair,
        split="filling"),
    Task("translate", SKILL, 2, lines("""
        What is {word} in {language}?
        How do you say {word} in {language}?
        Translate {word} to {language}.
        Translate the word {word} into {language}.
        Give me the {language} word for {word}.
        What is the {language} word for {word}?
        How is {word} said in {language}?
        Tell me how to say {word} in {language}."""), {"word": _FOREIGN, "language": tuple(TRANSLATION)}, _translate,
        weight=3.0, follow=("And {word} in {language}?",)),
)
