"""The parts of the documentation that follow from the code: the tree, the commands, the keys and the operators.

`python docs/generate.py` writes them between the markers `<!-- NAME -->` and `<!-- /NAME -->` of the README and of
docs/specs.md; a test fails where they have gone stale.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/specs.md", "docs/operators.md", "docs/handoff.md")
FOLDERS = (".ci", "engine", "trainers", "embedded", "specs", "sql", "benchmarks", "docs")
BUILT = {"__pycache__", "build"}
PLAIN = {
    ".ci/run": "What continuous integration runs",
    "CHANGELOG.md": "What has changed, version by version",
    "LICENSE": "Apache-2.0",
    "Makefile": "quickstart, test, check, lint, types, format, bench, clean",
    "README.md": "This page",
    "constraints.txt": "The versions that are tested together",
    "engine/models/weights": "The embedded chat model and its tokenizer; `make embedded` writes them",
    "engine/py.typed": "Says that the package has types",
    "pyproject.toml": "The package, its extras, and the rules of linter and type checker",
    "specs/setwright.schema.json": "The JSON Schema of specs, for editors; `make schema` writes it",
    "specs/data/benchmark.jsonl": "Six questions of a made-up benchmark, three of which stand in instructions.jsonl",
    "specs/data/exam.jsonl": "Questions that the embedded model was never trained on, with their right answers",
    "specs/data/gold_pairs.jsonl": "Pairs of answers with labels, written for this repository",
    "specs/data/instructions.jsonl": "Records written for this repository, some of them bad on purpose",
    "specs/data/length_prompts.jsonl": "Requests for texts of 150 to 12,000 words or characters, English and Chinese",
    "specs/data/long_rows.jsonl": "Small rows for the twin of long_output.yaml, written for this repository",
}
"""Files, and folders of files, that can't say themselves what they are for."""
WIDTH = 30


def tree() -> str:
    """Every file of the repository with a line of what it is for."""
    lines = [_line(ROOT / name, 0) for name in PLAIN if "/" not in name]
    for name in FOLDERS:
        lines += [f"{name}/", *_listing(ROOT / name, 1)]
    lines.append(f"{'tests/':<{WIDTH}}  Mirrors the tree: tests/test_store.py is the test of engine/store.py")
    return "\n".join(["```text", *lines, "```"])


def commands() -> str:
    """The commands of the command line, each by the first sentence of its help."""
    from click import Context

    from engine.cli import COMMANDS, cli

    found = {name: cli.get_command(Context(cli), name) for name in COMMANDS}
    rows = [(f"`{name}`", _sentence((command and command.help) or "")) for name, command in found.items()]
    return _table(("command", "what it does"), rows)


def spec_keys() -> str:
    """The keys of a spec itself."""
    from engine.spec.forms import SpecForm

    return _keys(SpecForm)


def model_keys() -> str:
    """The keys of a model."""
    from engine.spec.forms import ModelForm

    return _keys(ModelForm)


def table_keys() -> str:
    """The keys of a table."""
    from engine.spec.forms import TableForm

    return _keys(TableForm)


def score_keys() -> str:
    """The keys of a score."""
    from engine.spec.forms import ScoreForm

    return _keys(ScoreForm)


def rounds_keys() -> str:
    """The keys of `rounds`."""
    from engine.spec.forms import RoundsForm

    return _keys(RoundsForm)


def handoff_keys() -> str:
    """The keys of a hand-off."""
    from engine.spec.forms import HandoffForm

    return _keys(HandoffForm)


def run_keys() -> str:
    """The keys of `run`."""
    from engine.spec.forms import RunForm

    return _keys(RunForm)


def test_kinds() -> str:
    """The data tests, each by its docstring (an example, a colon, what it checks)."""
    from engine.spec.data_tests import DATA_TESTS

    docs = [re.fullmatch(r"((?:`[^`]*`|[^:])*): (.*)", inspect.getdoc(kind) or "") for kind in DATA_TESTS.values()]
    return _table(("test", "what it checks"), [(found[1], found[2]) for found in docs if found])


def source_params() -> str:
    """What `params:` of a source may say."""
    from engine.sourcing import SourceParams

    properties = SourceParams.model_json_schema()["properties"]
    return f"{inspect.getdoc(SourceParams)}\n\n" + _table(
        ("param", "values"), [(f"`{name}`", _type(schema)) for name, schema in properties.items()]
    )


def operators() -> str:
    """Everything that `setwright ops` knows, with the parameters."""
    command = [sys.executable, "-c", "from engine.cli import main; main()", "ops", "--json"]
    records = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)
    return "\n\n".join("\n\n".join(_operator(record)) for record in records)


def targets(trainer: str) -> str:
    """What each parameter of a trainer becomes at each target of a hand-off."""
    from engine.handoff.deliver import TARGETS

    recipes = {name: target.recipes[trainer] for name, target in TARGETS.items()}
    native = recipes.pop("native")
    rows = [
        (f"`{name}`", *(_at_target(recipe.keys.get(name), recipe.only.get(name)) for recipe in recipes.values()))
        for name in native.keys
    ]
    return _table(("`native`", *(f"`{name}`" for name in recipes)), rows)


def _at_target(key: str | None, only: Sequence[Any] | None) -> str:
    said = ", ".join(f"`{part}`" for part in key.split(", ")) if key else "-"
    return said if only is None else f"{said}; only {', '.join(f'`{value}`' for value in only)}".removeprefix("-; ")


PARTS: dict[str, Callable[[], str]] = {
    "tree": tree, "commands": commands, "spec-keys": spec_keys, "model-keys": model_keys, "table-keys": table_keys,
    "score-keys": score_keys, "rounds-keys": rounds_keys, "handoff-keys": handoff_keys,
    "run-keys": run_keys, "tests": test_kinds, "source-params": source_params,
    "operators": operators, "targets-sft": partial(targets, "sft"), "targets-dpo": partial(targets, "dpo"),
}  # fmt: skip


def generated(page: str) -> str:
    """A page with its generated parts as they should be now."""

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- {name} -->\n{PARTS[name]()}\n<!-- /{name} -->"

    return re.sub(r"<!-- (?P<name>[a-z-]+) -->\n.*?<!-- /(?P=name) -->", replace, page, flags=re.DOTALL)


def _listing(folder: Path, depth: int) -> Iterator[str]:
    """The files of a folder, then those of its folders."""
    entries = sorted(path for path in folder.iterdir() if path.name not in BUILT and path.name[0] != ".")
    whole = [path for path in entries if path.is_file() or path.relative_to(ROOT).as_posix() in PLAIN]
    yield from (_line(path, depth) for path in whole)
    for path in entries:
        if path not in whole:
            yield f"{'  ' * depth}{path.name}/"
            yield from _listing(path, depth + 1)


def _line(path: Path, depth: int) -> str:
    return f"{'  ' * depth + path.name:<{WIDTH}}  {_purpose(path)}"


def _purpose(path: Path) -> str:
    """What a file says of itself in its first sentence."""
    name = path.relative_to(ROOT).as_posix()
    if name in PLAIN:
        return PLAIN[name]
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    elif described := re.search(r"^description: (.*)$", text, re.MULTILINE):
        text = described[1]
    else:  # a heading, or a comment
        text = re.sub(r"^[#-]+ (\d{4}: )?", "", text).partition("\n")[0]
    return _sentence(text)


def _sentence(text: str) -> str:
    """The first sentence of the first paragraph, without its full stop."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return re.split(r"\.(?:\s|$)", paragraph)[0]


def _keys(form: Any) -> str:
    properties = form.model_json_schema(by_alias=True)["properties"]
    names = sorted(
        properties, key=lambda name: name in ("description", "tags", "owner")
    )  # what matters least comes last
    rows = [(f"`{name}`", _type(properties[name]), properties[name].get("description", "")) for name in names]
    return _table(("key", "value", ""), rows)


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema type in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", "any"))
    return {"object": "mapping", "array": "list"}.get(kind, kind)


def _operator(record: dict[str, Any]) -> Iterator[str]:
    yield f"## `{record['kind']}: {record['name']}`"
    yield re.sub(r"^`[^`]*`: ", "", record["doc"])
    for key in ("needs", "offers", "requires", "accepts"):
        if record.get(key):
            yield f"{key.capitalize()}: {', '.join(f'`{value}`' for value in record[key])}."
    if record.get("reads"):
        rows = [(f"`{r['name']}`", r["type"], " or ".join(f"`{c}`" for c in r["columns"])) for r in record["reads"]]
        yield _table(("reads", "type", "from the column"), rows)
    if record.get("models"):
        rows = [(f"`{m['role']}`", ", ".join(f"`{n}`" for n in m["needs"]), f"`{m['default']}`" if m["default"] else "")
                for m in record["models"]]  # fmt: skip
        yield _table(("models", "must offer", "else that of"), rows)
    for side in record.get("with", ()):
        rows = [(f"`{r['name']}`", r["type"], " or ".join(f"`{c}`" for c in r["columns"])) for r in side["reads"]]
        optional = ", optional" if side["optional"] else ""
        yield _table((f"with `{side['name']}`{optional}", "type", "from the column"), rows)
    if record.get("writes"):
        yield _table(("writes", "type"), [(f"`{w['name']}`", f"`{w['type']}`") for w in record["writes"]])
    if record.get("params"):
        yield _table(("param", "type", "default"), [_param(p) for p in record["params"]])
        yield record["params_doc"]


def _param(param: dict[str, Any]) -> tuple[str, str, str]:
    default = "required" if param["required"] else "" if param["default"] is None else f"`{_short(param['default'])}`"
    return f"`{param['name']}`", param["type"].replace("|", "or"), default


def _short(value: Any, width: int = 60) -> str:
    text = value if isinstance(value, str) else ", ".join(value) if isinstance(value, dict) else json.dumps(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(generated(path.read_text(encoding="utf-8")), encoding="utf-8")
