"""Every recorded call is on disk before anyone sees it, once; the mirror holds what the ledger holds."""

import asyncio
import sqlite3

import duckdb
import pytest

from engine.errors import StoreError
from engine.ledger import Call, Ledger


def call(id_=b"1" * 16, *, response='{"text":"hi"}', error=None, vector=None, node="answers"):
    return Call(
        id=id_, model="m", kind="chat", request="{}", response=response, vector=vector, error=error, tokens_in=3,
        tokens_out=1, latency_s=0.1, cost=None, attempts=1, spec="s", node=node, row_id="r", build="b",
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


def test_recorded_means_readable_by_another_process(ledger):
    async def scenario():
        await ledger.record([call()])
        with sqlite3.connect(ledger.path) as other:
            return other.execute("SELECT count(*) FROM calls").fetchone()[0]

    assert asyncio.run(scenario()) == 1
    assert ledger.find([b"1" * 16, b"2" * 16]) == {b"1" * 16: ('{"text":"hi"}', None)}


def test_an_answer_is_kept_once_and_errors_do_not_hide_it(ledger):
    async def scenario():
        await ledger.record([call(response=None, error="down")])
        assert ledger.find([b"1" * 16]) == {}
        await ledger.record([call(), call(response='{"text":"second"}')])
        await ledger.record([call(response=None, error="down again")])

    asyncio.run(scenario())
    assert ledger.find([b"1" * 16])[b"1" * 16][0] == '{"text":"hi"}'
    assert ledger.count() == 1


def test_thousands_at_once_share_commits(ledger):
    async def scenario():
        ids = [i.to_bytes(16, "big") for i in range(3000)]
        await asyncio.gather(*(ledger.record([call(i)]) for i in ids))
        return ids

    ids = asyncio.run(scenario())
    assert len(ledger.find(ids)) == 3000


def test_the_mirror_follows_without_loss(ledger, tmp_path):
    folder = tmp_path / "calls"

    def rows():
        ledger.mirror(folder, batch_rows=7)
        return duckdb.sql(
            f"SELECT call_id, error, row_id FROM read_parquet('{folder}/*.parquet') ORDER BY seq"
        ).fetchall()

    assert rows() == []
    asyncio.run(ledger.record([call(i.to_bytes(16, "big")) for i in range(20)]))
    assert [r[0] for r in rows()] == [f"{i:032x}" for i in range(20)]
    asyncio.run(ledger.record([call(response=None, error="down")]))
    assert rows()[-1] == ("31" * 16, "down", "r")
    assert len(rows()) == 21


def test_a_disk_that_refuses_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="free space"):
        Ledger(tmp_path / "file")


def test_a_failed_commit_reaches_the_asker_and_loses_nothing_before_it(tmp_path):
    ledger = Ledger(tmp_path)
    asyncio.run(ledger.record([call()]))
    ledger.close()
    ledger = Ledger(tmp_path)
    with sqlite3.connect(ledger.path) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(StoreError, match="disk full"):
        asyncio.run(ledger.record([call(b"2" * 16)]))
    assert ledger.count() == 1
    ledger.close()
