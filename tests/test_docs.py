"""Everything that the README and docs/ say in code is true: commands print what stands there, specs plan, code runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli import main
from engine.plan import make_plan
from engine.registry import operator_names
from engine.spec.load import load_spec
from engine.store import Store

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LANGUAGES = {"bash", "console", "python", "text", "yaml"}
ENVIRONMENT = {"OPENAI_BASE_URL": "http://localhost:8000/v1"}

sys.path.insert(0, str(ROOT / "docs"))
import generate  # noqa: E402


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is that of its fence."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    every = [Block(page, text.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in found]
    return [block for block in every if not languages or block.language in languages]


def all_blocks(*languages: str) -> list[Any]:
    return [pytest.param(b, id=str(b)) for page in PAGES for b in blocks(page, *languages)]


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A folder with the shipped specs, in which commands are run and nothing else of this machine matters."""
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SETWRIGHT_HOME", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_pages_are_found():
    assert {"README.md", "CHANGELOG.md", "concepts.md", "specs.md", "operators.md"} <= {page.name for page in PAGES}
    assert len(PAGES) >= 13


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_names_a_language_that_is_tested(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES


@pytest.mark.parametrize("page", [ROOT / page for page in generate.PAGES], ids=lambda page: page.name)
def test_generated_parts_are_current(page):
    text = page.read_text(encoding="utf-8")
    assert text == generate.generated(text), "run `python docs/generate.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]*)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=lambda page: page.name)
def test_commands_print_what_the_page_says(page, checkout, monkeypatch, capsys):
    for block in blocks(page, "console"):
        for step in steps(block.text):
            if isinstance(step, Edit):
                step.apply(checkout)
            else:
                printed, code = run(step.command, monkeypatch, capsys)
                assert code == step.exit_code, f"{block}: {step.command}\n{printed}"
                assert matches(step.output, printed), f"{block}: {step.command}\n{printed}"


def test_every_selector_has_its_paragraph():
    text = (ROOT / "docs" / "selectors.md").read_text(encoding="utf-8")
    assert set(operator_names("select")) <= set(re.findall(r"^## (\w+)$", text, re.MULTILINE))


@pytest.mark.parametrize("block", all_blocks("yaml"))
def test_specs_plan(block, checkout):
    """A block with its own tables and name is a spec; any other is laid over specs/curate.yaml."""
    given = yaml.safe_load(block.text)
    base = yaml.safe_load((checkout / "specs" / "curate.yaml").read_text(encoding="utf-8"))
    file = checkout / "specs" / "page.yaml"
    file.write_text(block.text if "name" in given else yaml.safe_dump(laid_over(base, given)), encoding="utf-8")
    make_plan(load_spec(file), Store(checkout / "home"))


@pytest.mark.parametrize("block", all_blocks("bash"))
def test_shell_lines_name_what_is_there(block):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for line in block.text.splitlines():
        match shlex.split(line, comments=True):
            case ["make", target]:
                assert target in targets
            case ["pip", "install", package]:
                extra = re.fullmatch(r"\.\[(\w+)\]", package)
                assert extra, package
                assert re.search(rf"^{extra[1]} = \[", project, re.MULTILINE), package
            case [("python" | ".venv/bin/python"), script, *_]:
                assert (ROOT / script).is_file()
            case []:
                continue
            case words:
                pytest.fail(f"{block}: nothing tests {words}")


@pytest.mark.slow
def test_the_operator_of_the_readme_works_as_it_says(tmp_path):
    python = [block.text for block in blocks(ROOT / "README.md", "python")]
    files = {text.partition("\n")[0].removeprefix("# "): text for text in python}
    for folder in ("engine", "specs", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("test_*", "broken"))
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    spec = tmp_path / "specs" / "curate.yaml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("- length ", "- links\n      - length "), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for command, said in (
        (
            ["-m", "pytest", "--import-mode=importlib", *files.keys() - {"engine/operators/scorers/links.py"}],
            "1 passed",
        ),
        (["-c", "from engine.cli import main; main()", "build", "specs/curate.yaml"], "score: links"),
    ):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert said in done.stdout


@dataclass(frozen=True)
class Edit:
    """`# in FILE: OLD -> NEW`: what the reader is told to change."""

    file: str
    old: str
    new: str

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, self
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Command:
    """`$ setwright ...   # exit N`, and the lines that it prints; a line `...` stands for any number of lines."""

    command: str
    exit_code: int
    output: list[str]


def steps(text: str) -> Iterator[Edit | Command]:
    for paragraph in re.split(r"^(?=\$ |# in )", text, flags=re.MULTILINE):
        first, *rest = paragraph.splitlines() or [""]
        if edit := re.fullmatch(r"# in (\S+): (.*) -> (.*)", first):
            yield Edit(*edit.groups())
        elif first:
            command, _, code = first.removeprefix("$ ").partition("   # exit ")
            yield Command(command, int(code or 0), rest)


def run(command: str, monkeypatch, capsys) -> tuple[str, int]:
    """Run a command line in this process; what it printed, and its exit code."""
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    assert sys.argv[0] == "setwright", command
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    return printed.out + printed.err, int(left.value.code or 0)


def matches(expected: list[str], printed: str) -> bool:
    """Whether the lines are those that stand on the page, but for times, ids of builds and the width of columns."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(steady(line)) + r"\n" for line in expected)
    return re.fullmatch(pattern, "".join(steady(line) + "\n" for line in printed.splitlines())) is not None


def steady(line: str) -> str:
    line = re.sub(r"\b\d+\.\d\d s\b|\b\d+ s\b", "TIME", line)
    line = re.sub(r"\b\d{8}T\d{6}-\d{6}\b", "BUILD", line)
    return " ".join(line.split())


def laid_over(base: Any, given: Any) -> Any:
    """Mappings are merged, lists are made longer, anything else is replaced."""
    if isinstance(base, dict) and isinstance(given, dict):
        return {**base, **{key: laid_over(base.get(key), value) for key, value in given.items()}}
    if isinstance(base, list) and isinstance(given, list):
        return base + [item for item in given if item not in base]
    return given


def test_a_wrong_line_on_a_page_is_noticed():
    assert matches(["rows 3", "..."], "rows    3\nmore\n")
    assert not matches(["rows 4", "..."], "rows 3\nmore\n")
    assert matches(["built in 0.12 s"], "built in 1.50 s\n")
    assert not matches(["one"], "one\ntwo\n")
