"""Numbers: sums, products, neighbours, order, sequences and small word problems. All numbers are below 100."""

from collections.abc import Callable
from random import Random

from embedded.grammar.task import Answer, Slots, Task, lookup
from embedded.grammar.text import lines, words
from embedded.grammar.vocabulary import NAMES
from embedded.grammar.world import in_words

SKILL = "math"
OBJECTS = words("apples pears books cookies cups eggs stamps pencils shells marbles balloons flowers")


def numbers(low: int, high: int) -> tuple[str, ...]:
    """The numbers from `low` to `high`, both included, as texts."""
    return tuple(str(n) for n in range(low, high + 1))


def _pair(
    name: str,
    complexity: int,
    rule: Callable[[int, int], int | None],
    form: str,
    a: tuple[str, ...],
    b: tuple[str, ...],
    phrasings: str,
    follow: tuple[str, ...] = (),
    weight: float = 1.5,
) -> Task:
    def solve(slots: Slots, _: Random) -> Answer | None:
        value = rule(int(slots["a"]), int(slots["b"]))
        return None if value is None else Answer(str(value), form.format(**slots, value="{}"))

    slots = {"a": a, "b": b}
    return Task(name, SKILL, complexity, lines(phrasings), slots, solve, split="filling", follow=follow, weight=weight)


def _story(name: str, complexity: int, rule: Callable[[int, int], int | None], form: str, phrasings: str) -> Task:
    def solve(slots: Slots, _: Random) -> Answer | None:
        value = rule(int(slots["a"]), int(slots["b"]))
        return None if value is None else Answer(str(value), form.format(**slots, value="{}"))

    slots = {"name": NAMES, "a": numbers(2, 10), "b": numbers(2, 10), "things": OBJECTS}
    return Task(name, SKILL, complexity, lines(phrasings), slots, solve, split="filling")


def _sequence(slots: Slots, _: Random) -> Answer | None:
    a, b, c, d = (int(slots[k]) for k in "abcd")
    step = b - a
    if step not in (1, 2, 5, 10) or c - b != step or d - c != step or d + step > 99:
        return None
    return Answer(str(d + step), "The next number is {}.")


def _draw_sequence(rng: Random) -> Slots:
    step = rng.choice((1, 2, 5, 10))
    start = rng.randint(0, 49) if step != 5 else 5 * rng.randint(0, 12)
    return dict(zip("abcd", (str(start + step * i) for i in range(4)), strict=True))


def _ordered(slots: Slots, _: Random) -> Answer | None:
    values = sorted(int(slots[k]) for k in "abc")
    return Answer(", ".join(map(str, values)), "In order: {}.") if len(set(values)) == 3 else None


def _add_three(slots: Slots, _: Random) -> Answer:
    a, b, c = (int(slots[k]) for k in "abc")
    return Answer(str(a + b + c), f"{a} + {b} = {a + b} and {a + b} + {c} = {{}}.")


SMALL, UP_TO_99 = numbers(0, 12), numbers(0, 99)
# fmt: off
TASKS = (
    _pair("add", 2, lambda a, b: a + b, "{a} + {b} = {value}.", SMALL, SMALL, """
        What is {a} + {b}?
        What is {a} plus {b}?
        Add {a} and {b}.
        Calculate {a} + {b}.
        What do you get when you add {a} and {b}?
        What is the sum of {a} and {b}?
        How much is {a} plus {b}?
        Find the sum of {a} and {b}.""", ("And {a} + {b}?", "What about {a} plus {b}?")),
    _pair("subtract", 2, lambda a, b: a - b if a >= b else None, "{a} - {b} = {value}.", numbers(0, 20), SMALL, """
        What is {a} - {b}?
        What is {a} minus {b}?
        Subtract {b} from {a}.
        Calculate {a} - {b}.
        What do you get when you take {b} away from {a}?
        How much is {a} minus {b}?
        Find the difference between {a} and {b}.
        Work out {a} - {b}.""", ("And {a} - {b}?", "What about {a} minus {b}?")),
    _pair("multiply", 3, lambda a, b: a * b, "{a} times {b} is {value}.", numbers(1, 10), numbers(1, 9), """
        What is {a} times {b}?
        Multiply {a} by {b}.
        What is {a} x {b}?
        Calculate {a} times {b}.
        What is the product of {a} and {b}?
        How much is {a} times {b}?
        Find the product of {a} and {b}.""", ("And {a} times {b}?",)),
    _pair("larger", 1, lambda a, b: max(a, b) if a != b else None, "The larger number is {value}.", UP_TO_99,
        UP_TO_99, """
        Which number is larger, {a} or {b}?
        Which is bigger, {a} or {b}?
        Tell me the larger number: {a} or {b}.
        What is the larger of {a} and {b}?
        Name the bigger number of {a} and {b}.
        Compare {a} and {b}. Which is larger?
        What is the maximum of {a} and {b}?""", ("And {a} or {b}?",)),
    _pair("smaller", 1, lambda a, b: min(a, b) if a != b else None, "The smaller number is {value}.", UP_TO_99,
        UP_TO_99, """
        Which number is smaller, {a} or {b}?
        Tell me the smaller number: {a} or {b}.
        What is the smaller of {a} and {b}?
        Name the smaller number of {a} and {b}.
        Compare {a} and {b}. Which is smaller?
        Which is less, {a} or {b}?
        What is the minimum of {a} and {b}?""", ("And {a} or {b}?",)),
    lookup("after", SKILL, 1, "n", {str(n): str(n + 1) for n in range(99)}, "{value} comes after {n}.", """
        What number comes after {n}?
        Which number comes right after {n}?
        Name the number after {n}.
        Count one up from {n}.
        What is one more than {n}?
        What is the next number after {n}?
        Add one to {n}.""", ("And after {n}?",)),
    lookup("before", SKILL, 1, "n", {str(n): str(n - 1) for n in range(1, 100)}, "{value} comes before {n}.", """
        What number comes before {n}?
        Which number comes right before {n}?
        Name the number before {n}.
        Count one down from {n}.
        What is one less than {n}?
        What is the last number before {n}?
        Take one away from {n}.""", ("And before {n}?",)),
    lookup("double", SKILL, 2, "n", {str(n): str(2 * n) for n in range(1, 50)}, "Double {n} is {value}.", """
        What is double {n}?
        Double the number {n}.
        What is twice {n}?
        What is two times {n}?
        How much is double {n}?
        Calculate the double of {n}.""", ("And double {n}?",)),
    lookup("half", SKILL, 2, "n", {str(2 * n): str(n) for n in range(1, 50)}, "Half of {n} is {value}.", """
        What is half of {n}?
        Find half of {n}.
        Divide {n} by two.
        How much is half of {n}?
        What do you get when you cut {n} in half?
        Calculate half of {n}.""", ("And half of {n}?",)),
    lookup("even", SKILL, 2, "n", {str(n): ("odd" if n % 2 else "even") for n in range(100)}, "{n} is {value}.", """
        Is {n} even or odd?
        Is the number {n} odd or even?
        Tell me whether {n} is even or odd.
        What is {n}, even or odd?
        Say if {n} is an even or an odd number.
        Decide whether the number {n} is odd or even.""", ("And {n}?", "What about {n}?")),
    lookup("in_words", SKILL, 2, "n", {str(n): in_words(n) for n in range(100)}, "{n} in words is {value}.", """
        Write the number {n} in words.
        Spell out the number {n}.
        How do you write {n} in words?
        What is {n} in words?
        Write {n} as a word.
        Say {n} in words.""", ("And {n}?",)),
    lookup("in_digits", SKILL, 2, "n", {in_words(n): str(n) for n in range(100)}, "It is {value}.", """
        Write {n} as a number.
        Write {n} in digits.
        How do you write {n} in digits?
        What number is {n}?
        Turn the words {n} into a number.
        Give {n} in digits.""", ("And {n}?",)),
    Task("sequence", SKILL, 3, lines("""
        What comes next: {a}, {b}, {c}, {d}?
        Complete the sequence: {a}, {b}, {c}, {d}, ...
        Which number comes next in {a}, {b}, {c}, {d}?
        Continue the pattern {a}, {b}, {c}, {d}.
        What is the next number in the sequence {a}, {b}, {c}, {d}?
        Find the next number: {a}, {b}, {c}, {d}.
        Look at {a}, {b}, {c}, {d}. What is the next number?"""), dict.fromkeys("abcd", UP_TO_99), _sequence,
        _draw_sequence, split="filling", weight=1.5),
    Task("order_numbers", SKILL, 4, lines("""
        Sort these numbers: {a}, {b}, {c}.
        Put {a}, {b} and {c} in order.
        Sort {a}, {b} and {c} from small to large.
        Order the numbers {a}, {b}, {c} from smallest to largest.
        Arrange {a}, {b} and {c} in rising order.
        Write {a}, {b} and {c} in order, smallest first."""), dict.fromkeys("abc", numbers(1, 20)), _ordered,
        split="filling", weight=2.0),
    Task("add_three", SKILL, 4, lines("""
        What is {a} + {b} + {c}?
        Add {a}, {b} and {c}.
        Find the sum of {a}, {b} and {c}.
        What is the sum of {a}, {b} and {c}?
        Calculate {a} + {b} + {c}.
        How much is {a} plus {b} plus {c}?"""), dict.fromkeys("abc", numbers(1, 6)), _add_three, split="filling"),
    _story("get_more", 4, lambda a, b: a + b, "{name} has {value} {things} now, because {a} + {b} = {value}.", """
        {name} has {a} {things} and gets {b} more. How many {things} does {name} have now?
        {name} finds {a} {things} in the morning and {b} in the evening. How many {things} does {name} have?
        {name} has {a} {things}. A friend gives {name} {b} more. How many are there now?
        If {name} has {a} {things} and buys {b} more, how many {things} does {name} have?
        How many {things} does {name} have after getting {b} more, starting with {a}?
        {name} had {a} {things} and then got {b} more. How many is that in total?"""),
    _story("give_away", 4, lambda a, b: a - b if a - b > 1 else None,
        "{name} has {value} {things} left, because {a} - {b} = {value}.", """
        {name} has {a} {things} and gives away {b}. How many {things} are left?
        {name} has {a} {things} and loses {b} of them. How many {things} does {name} still have?
        If {name} has {a} {things} and sells {b}, how many {things} are left?
        There are {a} {things} on the table. {name} takes {b}. How many {things} are left?
        {name} had {a} {things}, but {b} are gone. How many {things} remain?"""),
    _story("price", 5, lambda a, b: a * b, "{name} pays {value} dollars, because {a} times {b} is {value}.", """
        {name} buys {a} {things} for {b} dollars each. How much does {name} pay?
        {name} wants {a} {things}. Each costs {b} dollars. How much is that?
        If {name} buys {a} {things} at {b} dollars each, what is the total price?
        How much does {name} pay for {a} {things} at {b} dollars each?
        {name} pays {b} dollars for each of {a} {things}. What is the total?"""),
)
