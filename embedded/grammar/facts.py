"""Facts of the closed world: countries, calendar, animals, colors, shapes, jobs, shops, materials."""

from random import Random

from embedded.grammar import world
from embedded.grammar.nouns import a
from embedded.grammar.task import Answer, Slots, Task, lookup
from embedded.grammar.text import lines

SKILL = "facts"
_DAY_AFTER = {day: world.DAYS[(i + 1) % 7] for i, day in enumerate(world.DAYS)}
_MONTH_AFTER = {month: world.MONTHS[(i + 1) % 12] for i, month in enumerate(world.MONTHS)}
_COLORS = tuple(dict.fromkeys(color for pair in world.MIX for color in pair))


def _mixed(slots: Slots, _: Random) -> Answer | None:
    a_, b = slots["a"], slots["b"]
    value = world.MIX.get((a_, b)) or world.MIX.get((b, a_))
    return Answer(value, f"{a_.capitalize()} and {b} make {{}}.") if value else None


# fmt: off
TASKS = (
    lookup("capital", SKILL, 1, "country", world.CAPITAL, "The capital of {country} is {value}.", """
        What is the capital of {country}?
        Which city is the capital of {country}?
        Name the capital of {country}.
        Tell me the capital of {country}.
        What is the name of the capital of {country}?
        What is the capital city of {country}?
        Give me the capital of {country}.
        Do you know the capital of {country}?""", ("And of {country}?", "What about {country}?"), 1.5),
    lookup("country", SKILL, 2, "city", world.CITY, "{city} is the capital of {value}.", """
        Which country has {city} as its capital?
        {city} is the capital of which country?
        Of which country is {city} the capital?
        Name the country whose capital is {city}.
        Tell me which country has the capital {city}.
        What country is {city} the capital of?""", ("And {city}?", "What about {city}?")),
    lookup("continent", SKILL, 1, "country", world.CONTINENT, "{country} is in {value}.", """
        On which continent is {country}?
        Which continent is {country} in?
        Name the continent where {country} lies.
        Tell me the continent of {country}.
        Where in the world is {country}?
        What continent does {country} belong to?""", ("And {country}?", "What about {country}?")),
    lookup("language", SKILL, 1, "country", world.LANGUAGE, "People in {country} speak {value}.", """
        Which language do people speak in {country}?
        What language is spoken in {country}?
        Name the main language of {country}.
        Tell me the language of {country}.
        What do people speak in {country}?
        What is the main language in {country}?""", ("And in {country}?",)),
    lookup("day_after", SKILL, 1, "day", _DAY_AFTER, "{value} comes after {day}.", """
        Which day comes after {day}?
        What day is it after {day}?
        Name the day after {day}.
        If today is {day}, what day is tomorrow?
        What is the day that follows {day}?
        Today is {day}. Which day is tomorrow?
        Tell me the next day after {day}.""", ("And after {day}?",), 0.5),
    lookup("day_before", SKILL, 2, "day", {after: day for day, after in _DAY_AFTER.items()},
        "{value} comes before {day}.", """
        Which day comes before {day}?
        Name the day before {day}.
        If today is {day}, what day was yesterday?
        What is the day right before {day}?
        Today is {day}. Which day was yesterday?
        Tell me the last day before {day}.""", ("And before {day}?",), 0.5),
    lookup("month_after", SKILL, 1, "month", _MONTH_AFTER, "{value} comes after {month}.", """
        Which month comes after {month}?
        Name the month after {month}.
        What month follows {month}?
        What is the next month after {month}?
        Tell me the month that comes after {month}.
        It is {month} now. What is the next month?""", ("And after {month}?",), 0.5),
    lookup("month_before", SKILL, 2, "month", {after: m for m, after in _MONTH_AFTER.items()},
        "{value} comes before {month}.", """
        Which month comes before {month}?
        Name the month before {month}.
        What is the month right before {month}?
        Tell me the month that comes before {month}.
        It is {month} now. What was the last month?""", ("And before {month}?",), 0.5),
    lookup("month_number", SKILL, 2, "ordinal", dict(zip(world.ORDINALS, world.MONTHS, strict=True)),
        "The {ordinal} month of the year is {value}.", """
        What is the {ordinal} month of the year?
        Which month is the {ordinal} of the year?
        Name the {ordinal} month of the year.
        Tell me the {ordinal} month.
        Which is the {ordinal} month in a year?""", ("And the {ordinal}?",), 0.5),
    lookup("month_length", SKILL, 2, "month", world.MONTH_LENGTH, "{month} has {value} days.", """
        How many days does {month} have?
        How many days are in {month}?
        How long is {month}?
        Tell me the number of days in {month}.
        What is the number of days in {month}?""", ("And {month}?",), 0.5),
    lookup("season", SKILL, 1, "month", world.SEASON, "In Europe, {month} is in {value}.", """
        In which season is {month} in Europe?
        Which season is {month} in Europe?
        What season is it in Europe in {month}?
        Name the European season of {month}.
        To which season does {month} belong in Europe?""", ("And {month}?",), 0.5),
    lookup("sound", SKILL, 1, "animal", world.SOUND, "The {animal} says {value}.", """
        What sound does the {animal} make?
        What does the {animal} say?
        Which sound belongs to the {animal}?
        Name the sound of the {animal}.
        Tell me what the {animal} says.
        Make the sound of the {animal}.
        How does the {animal} sound?""", ("And the {animal}?", "What about the {animal}?")),
    lookup("young", SKILL, 2, "animal", {k: a(v) for k, v in world.YOUNG.items()},
        "A young {animal} is called {value}.", """
        What is a young {animal} called?
        What do you call a baby {animal}?
        Name the young of the {animal}.
        Give me the word for a baby {animal}.
        What is the name for a young {animal}?
        Tell me what a baby {animal} is called.""", ("And a young {animal}?",)),
    lookup("legs", SKILL, 1, "animal", world.LEGS, "The {animal} has {value} legs.", """
        How many legs does the {animal} have?
        What is the number of legs of the {animal}?
        Tell me how many legs the {animal} has.
        Count the legs of the {animal}.
        On how many legs does the {animal} stand?""", ("And the {animal}?",)),
    lookup("home", SKILL, 2, "animal", world.HOME, "The {animal} lives in {value}.", """
        Where does the {animal} live?
        What is the home of the {animal}?
        Name the home of the {animal}.
        Tell me where the {animal} lives.
        In what kind of place does the {animal} live?""", ("And the {animal}?",), 0.6),
    lookup("color", SKILL, 1, "thing", world.COLOR, "The color of {thing} is {value}.", """
        What color is {thing}?
        What is the color of {thing}?
        Which color does {thing} have?
        Name the color of {thing}.
        Tell me the color of {thing}.
        What color does {thing} have?""", ("And {thing}?", "What about {thing}?")),
    lookup("sides", SKILL, 2, "shape", world.SIDES, "The {shape} has {value} sides.", """
        How many sides does the {shape} have?
        What is the number of sides of the {shape}?
        Count the sides of the {shape}.
        Tell me how many sides the {shape} has.
        Say how many sides there are in the {shape}.""", ("And the {shape}?",), 0.4),
    lookup("worker", SKILL, 2, "work", world.WORKER, "The person who {work} is {value}.", """
        Who {work}?
        Which person {work}?
        Who is the person who {work}?
        Name the job of someone who {work}.
        Tell me who {work}.
        What do you call someone who {work}?""", ("And who {work}?",)),
    lookup("shop", SKILL, 2, "thing", world.SHOP, "You can buy {thing} at the {value}.", """
        Where can I buy {thing}?
        Where do people buy {thing}?
        Which place sells {thing}?
        Tell me where to buy {thing}.
        I need {thing}. Where should I go?
        Name a place that sells {thing}.""", ("And {thing}?",), 0.7),
    lookup("material", SKILL, 2, "thing", world.MATERIAL, "Usually, {thing} is made of {value}.", """
        What is {thing} made of?
        What do people use to make {thing}?
        Which material is used for {thing}?
        Tell me what {thing} is made of.
        Name what {thing} is made of.
        From what is {thing} made?""", ("And {thing}?",), 0.7),
    lookup("body", SKILL, 1, "action", world.BODY, "You use your {value} to {action}.", """
        What do you use to {action}?
        Which part of the body do you use to {action}?
        With what do people {action}?
        Name the part of the body that helps you {action}.
        Tell me what I need to {action}.""", ("And to {action}?",), 0.5),
    Task("mix", SKILL, 3, lines("""
        What color do you get from {a} and {b}?
        Mix {a} and {b}. What color is it?
        Which color do {a} and {b} make?
        What happens when I mix {a} and {b} paint?
        Tell me the color that {a} and {b} make.
        I mixed {a} with {b}. Which color did I get?"""), {"a": _COLORS, "b": _COLORS}, _mixed, weight=0.4),
)
