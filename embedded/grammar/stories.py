"""Short texts: stories with a given hero, place and thing; sentences with given words; poems, messages, titles.

Many texts are right here: a checker asks for the given words, for whole sentences and for their number.
"""

import re
from random import Random

from embedded.grammar.nouns import CATEGORY, COUNTED, MEMBERS, PLURAL, a
from embedded.grammar.task import Answer, Slots, Task
from embedded.grammar.text import lines, phrases, words
from embedded.grammar.vocabulary import GIRLS, NAMES
from embedded.grammar.world import RHYMES

SKILL = "writing"
PLACES = phrases("""
in the forest; in the city; on an island; in an old castle; at the lake; on a farm; in the mountains; by the sea
at the market; in the garden; at school; in the desert""")
THINGS = tuple(a(noun) for noun in COUNTED if noun in (*MEMBERS["object"], *MEMBERS["instrument"], *MEMBERS["tool"]))
PETS = words("cat dog horse mouse rabbit monkey bear fox wolf owl duck penguin parrot elephant lion tiger")
_OPENINGS = lines("""
    One day, {name} was {place} and found {thing}.
    Once upon a time, {name} lived {place} and had {thing}.
    Last summer, {name} went for a walk {place} and saw {thing}.
    It was a quiet morning {place}, and {name} had {thing}.""")
_MIDDLES = lines("""
    {She} wanted to show it to a friend.
    Suddenly it began to rain.
    Nobody knew where it came from.
    {She} had never seen one so beautiful.
    A little bird watched and sang a song.""")
_ENDINGS = lines("""
    In the end, {name} was very happy.
    {She} took it home and smiled.
    That night, {name} slept well.
    {She} gave it to a child and felt proud.
    It was the best day of the year.""")
_ANIMAL_STORIES = (
    "Once there was {animal} called {name}. {name} lived {place} and was always hungry. One day, a kind girl brought "
    "some food, and they became friends.",
    "{name} was {animal} who lived {place}. Every night, {name} looked at the stars. One night, a star fell down and "
    "made a wish come true.",
    "There once was {animal} named {name}. {name} got lost {place}. An old owl showed the way home, and {name} was "
    "glad.",
)
_FEELINGS = {
    "birthday": "Happy birthday, {name}! I hope you have a wonderful day with {gift}.",
    "thank you": "Dear {name}, thank you so much for the {gift}. It made me very happy.",
    "get well": "Dear {name}, I hope you feel better soon. I will bring you {gift}.",
    "party": "Dear {name}, please come to my party on Saturday. There will be {gift}.",
}
GIFTS = ("cake", "flowers", "music", "good books", "warm soup", "apples", "balloons", "tea", "games", "cookies")
_OWNED = ("furniture", "tool", "vehicle", "clothing", "instrument", "object")
_USING = lines("""
    The {x} is next to the {y}.
    I saw a {x} and a {y} today.
    We talked about a {x} and a {y}.
    A {x} and a {y} were in the picture.""")
_POETIC = tuple(w for group in RHYMES for w in group if w in PLURAL and sum(x in PLURAL for x in group) > 1)


def sentences(text: str) -> list[str]:
    """The sentences of a text: what ends in a stop, a question mark or an exclamation mark."""
    return re.findall(r"[^.!?]+[.!?]", text)


def _whole(text: str, low: int, high: int) -> bool:
    """Whole sentences that begin with a capital, between `low` and `high` of them, none twice."""
    found = [s.strip() for s in sentences(text)]
    return (
        low <= len(found) <= high
        and len(set(found)) == len(found)
        and text.rstrip()[-1:] in ".!?"
        and all(s[0].isupper() for s in found)
    )


def _has(text: str, *words: str) -> bool:
    return all(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in words)


def _story(slots: Slots, rng: Random) -> Answer:
    she = "She" if slots["name"] in GIRLS else "He"
    chosen = [rng.choice(_OPENINGS), rng.choice(_MIDDLES), rng.choice(_ENDINGS)]
    return Answer(" ".join(chosen).format(name=slots["name"], place=slots["place"], thing=slots["thing"], She=she))


def _is_story(slots: Slots, text: str) -> bool:
    return _whole(text, 2, 5) and _has(text, slots["name"], slots["place"], slots["thing"])


def _animal_story(slots: Slots, rng: Random) -> Answer:
    return Answer(
        rng.choice(_ANIMAL_STORIES).format(animal=a(slots["animal"]), name=slots["name"], place=slots["place"])
    )


def _is_animal_story(slots: Slots, text: str) -> bool:
    return _whole(text, 2, 5) and _has(text, slots["name"], slots["place"], slots["animal"])


def _message(slots: Slots, _: Random) -> Answer:
    return Answer(_FEELINGS[slots["kind"]].format(name=slots["name"], gift=slots["gift"]))


def _is_message(slots: Slots, text: str) -> bool:
    return _whole(text, 1, 4) and _has(text, slots["name"], slots["gift"])


def _using(slots: Slots, rng: Random) -> Answer | None:
    x, y = slots["x"], slots["y"]
    if x == y:
        return None
    return Answer(
        rng.choice(_USING)
        .replace("a {x}", a(x))
        .replace("A {x}", a(x).capitalize())
        .replace("a {y}", a(y))
        .format(x=x, y=y)
    )


def _uses(slots: Slots, text: str) -> bool:
    return _whole(text, 1, 1) and _has(text, slots["x"], slots["y"])


def _about(slots: Slots, rng: Random) -> Answer:
    noun, many = slots["noun"], PLURAL[slots["noun"]]
    texts = [
        f"There are many {many} in this picture.",
        f"We saw two {many} yesterday.",
        f"Today we read about {a(noun)}.",
    ]
    if CATEGORY[noun] in _OWNED:
        texts += [f"My neighbor has {a(noun)}.", f"I would like to have {a(noun)}."]
    return Answer(rng.choice(texts))


def _is_about(slots: Slots, text: str) -> bool:
    return _whole(text, 1, 2) and (_has(text, slots["noun"]) or _has(text, PLURAL[slots["noun"]]))


def _poem(slots: Slots, rng: Random) -> Answer:
    word = slots["word"]
    other = rng.choice([w for group in RHYMES if word in group for w in group if w != word])
    return Answer(
        rng.choice(
            (
                f"I saw a {word} today, and then I saw a {other}.",
                f"I dream about a {word}, and you dream of a {other}.",
                f"Here is a little {word}, and there I see a {other}.",
            )
        )
    )


def _is_poem(slots: Slots, text: str) -> bool:
    words = re.findall("[a-z]+", text.lower())
    return (
        _whole(text, 1, 2)
        and slots["word"] in words
        and any(
            word in group and slots["word"] in group and word != slots["word"] for group in RHYMES for word in words
        )
    )


def _title(slots: Slots, rng: Random) -> Answer:
    noun = slots["animal"].capitalize()
    return Answer(
        f"{slots['name']} and the {rng.choice(('Brave', 'Little', 'Lost', 'Happy'))} {noun}", 'A good title is "{}".'
    )


def _is_title(slots: Slots, text: str) -> bool:
    return _has(text, slots["name"], slots["animal"]) and len(text.split()) <= 12


# fmt: off
TASKS = (
    Task("story", SKILL, 5, lines("""
        Write a short story about {name} {place} with {thing}.
        Tell me a story about {name} {place}. There should be {thing} in it.
        Write a story in which {name} is {place} with {thing}.
        Tell a short story about {name} and {thing} {place}.
        Tell me what happened to {name} and {thing} {place}.
        Make up a short story about {name}, who has {thing} {place}.
        I would like a short story about {name} with {thing} {place}."""),
        {"name": NAMES, "place": PLACES, "thing": THINGS}, _story, check=_is_story, split="filling", weight=1.5),
    Task("animal_story", SKILL, 5, lines("""
        Write a story about {name} the {animal} {place}.
        Tell me a story about {name} the {animal} {place}.
        Tell a short story about {name} the {animal}, who lives {place}.
        Make up a story with {name} the {animal} {place}.
        Write a bedtime story about {name} the {animal} {place}.
        I would like a story about {name} the {animal} {place}.
        Let me hear a story about {name} the {animal} {place}."""),
        {"name": NAMES, "animal": PETS, "place": PLACES}, _animal_story, check=_is_animal_story, split="filling",
        weight=1.5),
    Task("message", SKILL, 4, lines("""
        Write a {kind} message to {name} about {gift}.
        Write a short {kind} note to {name} and mention {gift}.
        Help me write a {kind} card for {name} with the words {gift}.
        I need a {kind} message for {name} that speaks of {gift}.
        Write a {kind} letter to {name}. Mention {gift}.
        What can I write to {name} in a {kind} card about {gift}?"""),
        {"kind": tuple(_FEELINGS), "name": NAMES, "gift": GIFTS}, _message, check=_is_message, split="filling"),
    Task("use_two", SKILL, 3, lines("""
        Write a sentence with the words {x} and {y}.
        Use the words {x} and {y} in one sentence.
        Make a sentence with {x} and {y}.
        Write one sentence that has the words {x} and {y} in it.
        Put {x} and {y} into a sentence.
        Give me a sentence with both {x} and {y}."""), {"x": COUNTED, "y": COUNTED}, _using, check=_uses,
        split="filling"),
    Task("use_one", SKILL, 2, lines("""
        Write a sentence with the word {noun}.
        Use the word {noun} in a sentence.
        Make a sentence with {noun}.
        Give me an example sentence with {noun}.
        Show me how to use the word {noun} in a sentence.
        Put the word {noun} into a sentence.
        I need a sentence with the word {noun}."""), {"noun": COUNTED}, _about, check=_is_about,
        follow=("And with {noun}?",)),
    Task("poem", SKILL, 4, lines("""
        Write a short rhyme about the word {word}.
        Write a little poem with the word {word}.
        Make up a rhyme with the word {word}.
        Give me a line that rhymes with the word {word} in it.
        Write one rhyming line about the word {word}.
        Tell me a short rhyme that has the word {word} in it."""), {"word": _POETIC}, _poem, check=_is_poem,
        weight=0.7),
    Task("title", SKILL, 3, lines("""
        Give me a title for a story about {name} and the {animal}.
        What is a good title for a book about {name} and the {animal}?
        Think of a title for a story with {name} and the {animal}.
        Suggest a title for a tale about {name} and the {animal}.
        How could I call a story about {name} and the {animal}?
        I need a title for my story about {name} and the {animal}."""), {"name": NAMES, "animal": PETS}, _title,
        check=_is_title, split="filling"),
)
