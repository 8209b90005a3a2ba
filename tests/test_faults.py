"""Real faults, met by the command line as its users meet it: dead servers, full disks, two builds at once, Ctrl-C."""

import copy
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from fake_server import Fault
from project import Project

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from _evidence import asked, differences, held_calls
from _measure import setwright

TIMEOUT_S = 90
ROWS = 40
SPEC = """
models:
  teacher:
    use: openai
    model: fake
    base_url: {url}
    api_key: "${{TEACHER_API_KEY:-none}}"
    params: {{temperature: 0.7, max_attempts: 2, patience_s: 1}}
tables:
  prompts:
    source: data.jsonl
    scores: [{{score: length, columns: {{text: prompt}}}}]
  answers:
    generate: respond
    from: prompts
    model: teacher
    scores: [length]
  short_prompts:
    select: filter
    from: prompts
    params: {{where: n_chars < 1000}}
  longest:
    select: top_k
    from: answers
    params: {{k: 10, by: n_chars}}
run: {{concurrency: 4}}
"""


class Shop(Project):
    """A project whose answers come from a server, and whose builds are commands."""

    def __init__(self, folder, url, rows=ROWS):
        super().__init__(folder)
        self.spec(SPEC.format(url=url)).data([{"prompt": f"Question {i}?"} for i in range(rows)])

    def start(self, *options, home=None, **popen):
        command = setwright("build", self.file, "--home", home or self.home, *options)
        popen["env"] = {**os.environ, **popen.get("env", {})}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **popen
        )

    def run(self, *options, **popen):
        """The command's exit code and output."""
        process = self.start(*options, **popen)
        return ended(process)

    def differs_from_unbroken(self, server):
        """How the home differs from that of a build to which nothing happened."""
        server.plan = no_fault
        whole = copy.copy(self)
        whole.home = self.folder / "unbroken"
        assert whole.build().exit_code == 0
        return differences(whole.home, self.home)


@pytest.fixture
def server(fake_server):
    return fake_server()


@pytest.fixture
def shop(tmp_path, server):
    return Shop(tmp_path, server.url)


def no_fault(hit):
    return None


def ended(process):
    try:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, output


def wait_for(condition):
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


def prompts_asked(hits):
    return sorted(hit.body["messages"][0]["content"] for hit in hits)


def test_a_dead_server_costs_its_rows_and_no_more(shop, server):
    server.kill()
    code, output = shop.run()
    assert code == 1, output
    assert f"{ROWS} failed" in output
    errors = shop.sql("SELECT step, error, transient FROM errors")
    assert len(errors) == ROWS
    assert {(step, transient) for step, _, transient in errors} == {("answers", True)}
    assert all("start the server" in error or "no answer" in error for _, error, _ in errors), errors[0]
    assert shop.sql("SELECT count(*) FROM short_prompts") == [(ROWS,)]
    assert not server.hits

    server.revive()
    code, output = shop.run()
    assert code == 0, output
    assert len(server.hits) == ROWS
    assert shop.sql("SELECT count(*) FROM errors") == [(0,)]
    assert shop.differs_from_unbroken(server) == []


def test_what_the_server_never_answers_fails_alone_and_is_asked_again(shop, server):
    unlucky = {f"Question {i}?" for i in range(0, ROWS, 7)}
    server.plan = lambda hit: Fault(500) if hit.body["messages"][0]["content"] in unlucky else None
    code, output = shop.run()
    assert code == 1, output
    assert len(server.hits) == ROWS + len(unlucky), "each of them is tried twice"
    failed = shop.sql("SELECT prompt FROM errors JOIN prompts USING (row_id)")
    assert {prompt for (prompt,) in failed} == unlucky
    assert shop.sql("SELECT count(*) FROM answers") == [(ROWS - len(unlucky),)]
    assert shop.sql("SELECT count(*) FROM longest") == [(10,)]

    server.plan = no_fault
    server.hits.clear()
    assert shop.build().exit_code == 0
    assert prompts_asked(server.hits) == sorted(unlucky)
    assert shop.differs_from_unbroken(server) == []


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # Python ignores SIGXFSZ


FILLER = "All work and no play makes for a dull row. "


@pytest.mark.parametrize("full", ["part", "ledger"])
def test_a_full_disk_keeps_what_was_done(tmp_path, server, full):
    shop = Shop(tmp_path, server.url)
    assert shop.build().exit_code == 0
    before = shop.sql("SELECT row_id, response FROM answers ORDER BY row_id")
    if full == "part":
        words = [{"prompt": f"{os.urandom(3000).hex()} {i}?"} for i in range(ROWS)]
    else:
        words = [{"prompt": f"{FILLER * 50} {i}?"} for i in range(ROWS)]
    shop.data(words)
    code, output = shop.run(preexec_fn=limit_files(100_000))
    assert code == 2, output
    assert "cure: free space" in output
    assert ("ledger.sqlite" if full == "ledger" else "part-00000") in output
    assert "Traceback" not in output
    assert shop.sql("SELECT row_id, response FROM answers ORDER BY row_id") == before

    answered = held_calls(shop.home)
    server.hits.clear()
    assert shop.build().exit_code == 0
    assert not answered & {key for hit in server.hits for key in asked(hit.path, hit.body)}
    assert shop.sql("SELECT count(*) FROM answers") == [(ROWS,)]
    assert shop.differs_from_unbroken(server) == []


def test_a_disk_that_is_full_for_the_catalog(shop, server):
    code, output = shop.run(preexec_fn=limit_files(200_000))  # DuckDB's smallest file is larger
    assert code == 2, output
    assert "Traceback" not in output
    assert "catalog.duckdb" in output
    assert "cure: free space" in output
    assert shop.build().exit_code == 0
    assert len(server.hits) == ROWS


@pytest.fixture
def disk(tmp_path):
    """Mounts a small disk over the home: `disk("size=1m")`; `disk("remount,size=9m")` changes it."""
    home = tmp_path / "home"
    home.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")

    yield mount
    subprocess.run(["umount", str(home)], capture_output=True, check=False)


@pytest.mark.slow
def test_a_small_disk(tmp_path, server, disk):
    disk("size=1m")
    shop = Shop(tmp_path, server.url)
    code, output = shop.run()
    assert code == 0, output
    before = shop.sql("SELECT row_id, response FROM answers ORDER BY row_id")
    shop.data([{"prompt": f"{os.urandom(10_000).hex()} {i}?"} for i in range(ROWS)])
    code, output = shop.run()
    assert code == 2, output
    assert "cure: free space" in output
    assert shop.sql("SELECT row_id, response FROM answers ORDER BY row_id") == before

    disk("remount,size=20m")
    code, output = shop.run()
    assert code == 0, output
    assert shop.differs_from_unbroken(server) == []


def test_a_home_that_can_only_be_read(shop, disk):
    disk("size=1m,ro")
    code, output = shop.run()
    assert code == 2, output
    assert "Traceback" not in output
    assert f"can't write {shop.home}" in output
    assert "cure: free space or give permission" in output


def test_a_home_in_the_place_of_a_file(shop):
    shop.home.write_text("not a folder")
    code, output = shop.run()
    assert code == 2
    assert "Traceback" not in output
    assert str(shop.home) in output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_may_not_be_written(shop):
    shop.home.mkdir(mode=0o555)
    code, output = shop.run()
    assert code == 2, output
    assert "Traceback" not in output
    assert f"can't write {shop.home}" in output


def test_two_builds_at_once(shop, server):
    first = shop.start()
    wait_for(lambda: len(server.hits) > 0)
    first.send_signal(signal.SIGSTOP)
    code, output = shop.run()
    assert code == 2
    assert f"is held by setwright build {shop.file} (process {first.pid})" in output
    third = shop.start("--wait", "--json")
    time.sleep(1)
    assert third.poll() is None
    first.send_signal(signal.SIGCONT)
    assert ended(first)[0] == 0
    code, output = ended(third)
    assert code == 0, output
    assert '"state":"built"' not in output.replace(" ", "")
    assert len(server.hits) == ROWS


def test_ctrl_c_finishes_what_is_in_flight(shop, server):
    server.latency = 0.2
    process = shop.start()
    wait_for(lambda: len(server.hits) >= 10)
    process.send_signal(signal.SIGINT)
    code, output = ended(process)
    assert code == 130, output
    assert "Traceback" not in output
    assert 10 <= len(server.hits) < ROWS
    assert all(hit.answered for hit in server.hits)
    assert held_calls(shop.home) == {key for hit in server.hits for key in asked(hit.path, hit.body)}

    server.latency = 0
    assert shop.build().exit_code == 0
    assert len(server.hits) == len(server.bodies) == ROWS
    assert shop.differs_from_unbroken(server) == []


def test_ctrl_c_twice_stops_at_once(shop, server):
    server.plan = lambda hit: Fault(how="hang") if hit.number > 10 else None
    process = shop.start()
    wait_for(lambda: len(server.hits) > 10)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None, "it waits for what is in flight"
    process.send_signal(signal.SIGINT)
    code, output = ended(process)
    assert code == 130, output

    server.plan = no_fault
    held = held_calls(shop.home)
    server.hits.clear()
    assert shop.build().exit_code == 0
    assert not held & {key for hit in server.hits for key in asked(hit.path, hit.body)}
    assert shop.differs_from_unbroken(server) == []


def test_a_failing_data_test_stops_what_follows(shop):
    answers = "    generate: respond\n"
    shop.file.write_text(shop.file.read_text().replace(answers, f"{answers}    tests: [{{rows: {{min: 1000}}}}]\n"))
    code, output = shop.run()
    assert code == 1, output
    assert "rows(min=1000)" in output
    states = dict(shop.sql("SELECT step, state FROM builds"))
    assert states["longest"] == "skipped"
    assert {states[step] for step in ("answers", "answers.length", "short_prompts")} == {"built"}


def contents(home):
    """The text of every file of a home, unpacked."""
    for path in home.rglob("*"):
        if path.suffix == ".parquet":
            yield path, str(pq.read_table(path).to_pydict())
        elif path.name == "ledger.sqlite":
            yield path, "\n".join(sqlite3.connect(path).iterdump())
        elif path.name == "catalog.duckdb":
            yield path, str(duckdb.connect(str(path), read_only=True).sql("SELECT sql FROM duckdb_views()").fetchall())
        if path.is_file():
            yield path, path.read_bytes().decode("latin-1")


def test_secrets_stay_in_memory(shop, server):
    keys = {"TEACHER_API_KEY": "teachers-pet-4711", "OPENAI_API_KEY": "sk-another-0815"}
    echo = ", ".join(keys.values())
    server.plan = lambda hit: Fault(401, message=f"no such key: {echo}") if hit.number % 2 else None
    code, output = shop.run(env=keys)
    assert code == 1, output
    assert server.hits[0].header("authorization") == f"Bearer {keys['TEACHER_API_KEY']}"
    assert any("[redacted]" in error for (error,) in shop.sql("SELECT error FROM errors"))
    for key in keys.values():
        assert key not in output
        assert [path for path, text in contents(shop.home) if key in text] == []
