"""Code: one line of Python, SQL, HTML or JSON for a named thing, and what a line of Python prints."""

from random import Random

from embedded.grammar.arithmetic import numbers
from embedded.grammar.nouns import MEMBERS, NOUNS
from embedded.grammar.task import Answer, Slots, Task, about
from embedded.grammar.text import lines, words
from embedded.grammar.vocabulary import NAMES

SKILL = "code"
VARIABLES = words("x y z n total count price size age score width height speed")
TEXTS = tuple(n for n in NOUNS if len(n) <= 7)
TABLES = words("users orders books cities animals songs players products")
COLUMNS = words("name price age city title color size year")
TAGS = {"heading": "h1", "paragraph": "p", "list item": "li", "bold word": "b", "button": "button", "title": "title"}
_LIST_CALLS = {
    "sum": "sum({x})",
    "length": "len({x})",
    "largest value": "max({x})",
    "smallest value": "min({x})",
    "sorted version": "sorted({x})",
    "last item": "{x}[-1]",
    "first item": "{x}[0]",
}
_TEXT_CALLS = {
    "in uppercase": "{x}.upper()",
    "in lowercase": "{x}.lower()",
    "without spaces at the ends": "{x}.strip()",
    "in reverse": "{x}[::-1]",
}
_OPERATIONS = {"plus": "+", "minus": "-", "times": "*"}
LISTS = words("items words numbers names prices scores values cities")


def _written(code: str) -> Answer:
    return Answer(code, "You can write: {}", verbatim=True)


def _task(
    name: str, complexity: int, form: str, slots: dict[str, tuple[str, ...]], phrasings: str, split: bool = True
) -> Task:
    return Task(
        name,
        SKILL,
        complexity,
        lines(phrasings),
        slots,
        lambda s, _: _written(form.format(**s)),
        split="filling" if split else "phrasing",
    )


def _result(slots: Slots, _: Random) -> Answer | None:
    a, b = int(slots["a"]), int(slots["b"])
    value = a + b if slots["op"] == "+" else a - b if slots["op"] == "-" else a * b
    return Answer(str(value), "It prints {}.") if value >= 0 else None


def _list_call(slots: Slots, _: Random) -> Answer:
    return _written(_LIST_CALLS[slots["what"]].format(x=slots["x"]))


def _text_call(slots: Slots, _: Random) -> Answer:
    return _written(_TEXT_CALLS[slots["how"]].format(x=slots["x"]))


def _function(slots: Slots, _: Random) -> Answer:
    return _written(f"def {slots['f']}(x): return x {_OPERATIONS[slots['op']]} {slots['n']}")


def _html(slots: Slots, _: Random) -> Answer:
    tag = TAGS[slots["element"]]
    return _written(f"<{tag}>{slots['text']}</{tag}>")


def _length(word: str) -> Answer:
    return Answer(str(len(word)), "It prints {}.")


def _upper(word: str) -> Answer:
    return Answer(word.upper(), "It prints {}.")


# fmt: off
TASKS = (
    _task("print_text", 2, 'print("{text}")', {"text": TEXTS}, """
        Write Python code that prints {text}.
        How do I print the word {text} in Python?
        Print {text} in Python.
        Show me how to print {text} with Python.
        Write one line of Python to print {text}.
        Give me a Python line that prints {text}.
        What is the Python code to print {text}?""", False),
    _task("assign", 2, "{x} = {n}", {"x": VARIABLES, "n": numbers(0, 99)}, """
        Set the variable {x} to {n} in Python.
        Write Python code that sets {x} to {n}.
        How do I set {x} to {n} in Python?
        Create a Python variable {x} with the value {n}.
        In Python, give {x} the value {n}.
        Store {n} in the Python variable {x}."""),
    _task("for_range", 3, "for {x} in range({n}): print({x})", {"x": tuple("ijkxyzn"), "n": numbers(2, 30)}, """
        Write a Python loop over {x} that prints the numbers below {n}.
        Loop with {x} from 0 up to {n} in Python and print {x}.
        Write a for loop in Python with {x} and range {n} that prints {x}.
        How do I print {x} in a Python loop that runs {n} times?
        Show me a Python for loop with {x} that runs {n} times and prints {x}."""),
    _task("make_list", 3, '{x} = ["{a}", "{b}"]',
        {"x": LISTS, "a": MEMBERS["animal"] + MEMBERS["fruit"], "b": MEMBERS["tool"]}, """
        Make a Python list {x} with {a} and {b}.
        Write Python code for a list {x} that holds {a} and {b}.
        Create a list called {x} in Python with the words {a} and {b}.
        How do I make a Python list {x} with {a} and {b}?
        Put {a} and {b} into a Python list named {x}."""),
    _task("append", 2, '{x}.append("{text}")', {"x": LISTS, "text": TEXTS}, """
        Add {text} to the Python list {x}.
        How do I add {text} to the list {x} in Python?
        Write Python code that appends {text} to {x}.
        Append {text} to the list {x} in Python.
        In Python, put {text} at the end of the list {x}."""),
    _task("compare", 3, "if {x} > {n}: print({x})", {"x": VARIABLES, "n": numbers(0, 99)}, """
        Print {x} in Python if it is greater than {n}.
        Write Python code that prints {x} if it is more than {n}.
        How do I print {x} only if it is larger than {n} in Python?
        Write a Python if statement that prints {x} when it is above {n}.
        In Python, show {x} if its value is over {n}."""),
    _task("comment", 1, "# {text}", {"text": TEXTS}, """
        Write a Python comment that says {text}.
        How do I write the comment {text} in Python?
        Make a comment in Python with the word {text}.
        Give me a Python comment with {text}.
        What does a Python comment with the word {text} look like?""", False),
    _task("json", 3, '{{"name": "{name}", "age": {n}}}', {"name": NAMES, "n": numbers(5, 80)}, """
        Write a JSON object for {name} who is {n} years old.
        Make JSON with the name {name} and the age {n}.
        Show me JSON for a person called {name}, age {n}.
        Put the name {name} and the age {n} into JSON.
        How does JSON look for {name}, {n} years old?"""),
    _task("select", 3, "SELECT {column} FROM {table}", {"column": COLUMNS, "table": TABLES}, """
        Write SQL that reads {column} from {table}.
        Select the column {column} from the table {table} in SQL.
        How do I get {column} from {table} in SQL?
        Write a SQL query for the {column} of all {table}.
        Give me a SQL query that shows {column} from {table}."""),
    _task("where", 4, "SELECT * FROM {table} WHERE {column} = {n}",
        {"column": ("price", "age", "size", "year"), "table": TABLES, "n": numbers(1, 99)}, """
        Write SQL that finds all {table} whose {column} is {n}.
        Select everything from {table} where {column} equals {n} in SQL.
        How do I find {table} with a {column} of {n} in SQL?
        Write a SQL query for {table} with {column} {n}.
        Give me a SQL query that keeps {table} where {column} is {n}."""),
    Task("html", SKILL, 3, lines("""
        Write an HTML {element} that says {text}.
        How do I write a {element} with {text} in HTML?
        Make a {element} in HTML with the word {text}.
        Show me HTML for a {element} with the text {text}.
        Give me an HTML {element} with {text} in it."""), {"element": tuple(TAGS), "text": TEXTS}, _html,
        split="filling"),
    Task("list_call", SKILL, 2, lines("""
        How do I get the {what} of {x} in Python?
        Write Python code for the {what} of the list {x}.
        Give me the {what} of the list {x} in Python.
        In Python, find the {what} of {x}.
        What is the Python code for the {what} of {x}?"""), {"what": tuple(_LIST_CALLS), "x": LISTS}, _list_call),
    Task("text_call", SKILL, 2, lines("""
        How do I write the string {x} {how} in Python?
        Write Python code that gives the string {x} {how}.
        In Python, get the text {x} {how}.
        Show me Python code for the text in {x} {how}.
        What is the Python code for the string {x} {how}?"""),
        {"x": ("name", "text", "word", "title", "line", "city"), "how": tuple(_TEXT_CALLS)}, _text_call),
    Task("function", SKILL, 4, lines("""
        Write a Python function {f} that returns x {op} {n}.
        Define a function {f} in Python that gives x {op} {n}.
        Make a Python function called {f} for x {op} {n}.
        How do I write a function {f} in Python that returns x {op} {n}?
        I need a Python function named {f} that computes x {op} {n}."""), {
        "f": words("f g change update compute step move convert"), "op": tuple(_OPERATIONS),
        "n": numbers(1, 20)}, _function, split="filling"),
    Task("what_prints", SKILL, 3, lines("""
        What does print({a} {op} {b}) show in Python?
        What is the output of print({a} {op} {b})?
        Tell me what print({a} {op} {b}) prints.
        Which number does print({a} {op} {b}) print?
        What happens when I run print({a} {op} {b}) in Python?"""),
        {"a": numbers(1, 9), "op": ("+", "-", "*"), "b": numbers(1, 9)}, _result, split="filling"),
    about("prints_length", SKILL, 3, "word", TEXTS, _length, """
        What does print(len("{word}")) show in Python?
        What is the output of print(len("{word}"))?
        Tell me what print(len("{word}")) prints.
        Which number does print(len("{word}")) print?
        What happens when I run print(len("{word}"))?""", (), 0.7),
    about("prints_upper", SKILL, 3, "word", TEXTS, _upper, """
        What does print("{word}".upper()) show in Python?
        What is the output of print("{word}".upper())?
        Tell me what print("{word}".upper()) prints.
        Which word does print("{word}".upper()) print?
        What happens when I run print("{word}".upper())?""", (), 0.7),
)
