"""What every command has in common: errors without tracebacks, crashes with them, numbers that are numbers."""

import json

from story import shell

from engine.cli.text import columns, seconds, shorten


def test_a_mistake_has_no_traceback_and_exit_two(tmp_path):
    outcome = shell("build", tmp_path / "nothing.yaml")
    assert outcome.code == 2
    assert "nothing.yaml" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_crash_has_its_traceback_and_exit_two(tmp_path):
    code = "import engine.spec.load as l; l.load_spec = lambda p: 1 / 0; from engine.cli import main; main()"
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code, "build", "x.yaml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "ZeroDivisionError" in done.stderr
    assert "what was finished is kept" in done.stderr


def test_sums_are_numbers_in_json(story):
    outcome = shell("sql", story.file, "SELECT sum(n_chars) AS n FROM questions", "--json", "--home", story.home)
    assert isinstance(json.loads(outcome.out)[0]["n"], int)


def test_times_of_calls_need_no_quotes(story):
    assert shell("sql", story.file, "SELECT max(called_at) FROM calls", "--home", story.home).code == 0


def test_every_command_has_help():
    for command in ("init", "plan", "build", "show", "sql", "why", "diff", "test", "ops", "doctor", "clean"):
        assert shell(command, "--help").code == 0


def test_aligned_columns():
    assert columns(("a", "n"), [("x", 1), ("yy", 1000)], right=(1,)) == "a       n\nx       1\nyy  1,000"


def test_short_forms():
    assert [seconds(s) for s in (0.123, 45.6, 200, None)] == ["0.12 s", "46 s", "3 m 20 s", "-"]
    assert shorten("a\n b" * 50, 10) == "a ba ba..."
