"""`clean`: old versions go, and nothing that is in use, comparable or resumable does."""

import os
import shutil
import time

import pyarrow.parquet as pq
import pytest
from story import STORY, Story, run, shell, tell

from engine.relation import Relation
from engine.store import Store

LONG_AGO = time.time() - 1e6
SPEC = STORY.replace("faults: [{kind: 500, match: storm, times: always}]", "default: Storms pass")


def objects(story):
    return {p.name for p in (story.home / "objects").iterdir()}


def clean(story, *args):
    outcome = run("clean", *args, "--home", story.home, "--json")
    assert outcome.code == 0, outcome.err
    return outcome.json


def contents(story):
    tables = ("questions", "answers", "spoken", "curated", "long_ones", "mixed", "mixed.from")
    return {table: story.sql(f'SELECT * FROM "{table}" ORDER BY row_id') for table in tables if "." not in table}


@pytest.fixture(scope="session")
def four_builds(tmp_path_factory):
    """The budgets 2, 3, 4, 4: the last build finds everything in place. Then the objects after each build."""
    story = tell(tmp_path_factory.mktemp("aged"))
    sets = []
    for budget in (2, 3, 4, 4):
        story.spec(SPEC.replace("budget: 2", f"budget: {budget}")).build()
        sets.append(objects(story))
    return story.folder, sets


@pytest.fixture
def aged(four_builds, tmp_path):
    """A copy for one test."""
    folder, sets = four_builds
    story = Story(shutil.copytree(folder, tmp_path / "aged"))
    story.sets = sets
    return story


def test_the_last_builds_that_made_something_are_kept(aged):
    first, second, third, last = aged.sets
    assert (first < second < third, last == third) == (True, True)
    before = contents(aged)
    deleted = {path.rpartition("/")[2] for path in clean(aged, aged.file)["deleted"]}
    assert deleted
    assert deleted < first, "the second and third build are the last two that made anything"
    assert not deleted & (made_of(aged, 1) | made_of(aged, 2))
    assert objects(aged) == third - deleted
    assert contents(aged) == before
    assert run("diff", aged.file, "curated", "--home", aged.home).code == 0
    compared = run("diff", aged.file, "curated", "-4", "-1", "--home", aged.home)
    assert (compared.code, "no longer holds" in compared.err) == (2, True)
    assert set(aged.states().values()) == {"cached"}, "nothing has to be made again"


def made_of(story, index):
    """The objects of the steps of the build at a position."""
    [(build,)] = story.sql(f"SELECT DISTINCT build FROM builds ORDER BY build LIMIT 1 OFFSET {index}")
    return {f for (f,) in story.sql(f"SELECT fingerprint FROM builds WHERE build = '{build}'")}


def test_fewer_builds_kept_frees_more_and_a_dry_run_frees_nothing(aged):
    everything = objects(aged)
    planned = clean(aged, "--all", "--keep-builds", "0", "--dry-run")
    assert objects(aged) == everything
    done = clean(aged, "--all", "--keep-builds", "0")
    assert (done["deleted"], done["bytes"]) == (planned["deleted"], planned["bytes"])
    refs = {f for name in Store(aged.home).ref_names("trial") for f in ref_of(aged, name).fingerprints()}
    assert objects(aged) == refs
    assert done["bytes"] > 0
    assert set(aged.states().values()) == {"cached"}


def ref_of(story, name):
    return Relation.from_json(Store(story.home).ref("trial", name)["relation"])


def test_another_spec_keeps_what_it_shares_and_what_is_its_own(aged):
    other = aged.folder / "other.yaml"
    other.write_text(aged.file.read_text().replace("name: trial", "name: other").replace("budget: 4", "budget: 2"))
    run("build", other, "--home", aged.home)
    clean(aged, aged.file, "--keep-builds", "0")
    assert {s["state"] for s in run("build", other, "--home", aged.home, "--json").json["steps"]} == {"cached"}


def test_bytes_are_those_of_the_disk(aged):
    def used():
        return sum({s.st_ino: s.st_size for p in aged.home.rglob("*.*") for s in [p.stat()]}.values())

    before = used()
    freed = clean(aged, "--all", "--keep-builds", "0")["bytes"]
    assert before - used() == freed


def test_model_calls_stay(aged):
    calls = aged.sql("SELECT count(*) FROM calls")
    clean(aged, "--all", "--keep-builds", "0")
    assert aged.sql("SELECT count(*) FROM calls") == calls
    (aged.home / "ledger.sqlite").stat()


def test_work_that_lacks_rows_goes_on_where_it_was(own_story):
    own_story.build()  # a row of `answers` failed
    [planned] = [
        m.facts["planned"] for p in (own_story.home / "objects").iterdir()
        if (m := Store(own_story.home).manifest(p.name)) and "planned" in m.facts
    ]  # fmt: skip
    folder = Store(own_story.home).folder(planned)
    folder.mkdir(exist_ok=True)
    os.utime(folder, (LONG_AGO, LONG_AGO))
    clean(own_story, "--all")
    assert folder.exists()


def test_leftovers(aged):
    store = Store(aged.home)
    part = pq.read_table(store.part_path(ref_of(aged, "questions").fingerprint, 0))
    for name, touched in (("old", LONG_AGO), ("young", time.time()), ("draft-incomplete", time.time())):
        store.write_part(name, 0, part)
        os.utime(store.folder(name), (touched, touched))
    torn = store.folder(ref_of(aged, "questions").fingerprint) / "part-00001.77.tmp"
    torn.write_bytes(b"half")
    assert not {"old", "draft-incomplete"} & {p.rpartition("/")[2] for p in clean(aged, aged.file)["deleted"]}
    clean(aged, "--all")
    assert objects(aged) & {"old", "young", "draft-incomplete"} == {"young"}, "a build may go on with what is young"
    assert not torn.exists()
    assert set(aged.states().values()) == {"cached"}


def test_the_report_for_people(aged):
    planned = run("clean", "--all", "--keep-builds", "1", "--dry-run", "--home", aged.home).out
    assert "trial: curated" in planned
    assert planned.splitlines()[-1].startswith("would free ")
    done = run("clean", "--all", "--keep-builds", "1", "--home", aged.home).out
    assert done == planned.splitlines()[-1].replace("would free", "freed") + "\n"
    assert (
        run("clean", "--all", "--keep-builds", "1", "--home", aged.home).out == "freed 0 bytes in 0 objects and files\n"
    )


def test_a_running_build_is_not_disturbed(aged):
    with Store(aged.home).lock("setwright build elsewhere.yaml", wait=False):
        outcome = run("clean", "--all", "--home", aged.home)
    assert outcome.code == 2
    assert "is held by setwright build elsewhere.yaml" in outcome.err


@pytest.mark.parametrize(
    ("args", "said"), [([], "name a SPEC, or give --all"), (["spec.yaml", "--all"], "name a SPEC")]
)
def test_what_to_clean_must_be_said(tmp_path, args, said):
    outcome = run("clean", *args, "--home", tmp_path)
    assert (outcome.code, said in outcome.err) == (2, True)
    assert run("clean", "--all", "--home", tmp_path).code == 2, "nothing is built there"


def test_in_a_process_of_its_own(aged):
    outcome = shell("clean", aged.file, "--home", aged.home)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("freed ")


def test_a_file_that_another_object_shares_frees_nothing(aged):
    store = Store(aged.home)
    store.write_part("old", 0, pq.read_table(store.part_path(ref_of(aged, "questions").fingerprint, 0)))
    size = store.part_path("old", 0).stat().st_size
    store.link_parts("old", "young")
    os.utime(store.folder("old"), (LONG_AGO, LONG_AGO))
    known = clean(aged, "--all", "--dry-run")["bytes"]
    os.utime(store.folder("young"), (LONG_AGO, LONG_AGO))
    assert clean(aged, "--all", "--dry-run")["bytes"] == known + size, "only both names together free it"
