"""The HTTP client against a real server on loopback: what is tried again, and what survives a load."""

import asyncio
import gc
import time
import warnings

import pytest
from fake_server import Fault
from teacher import ask, backend, chat, run

from engine.errors import ModelError
from engine.models import _http


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(_http, "FIRST_BACKOFF_S", 0.005)


# Failures that are tried again


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_tried_again_under_the_same_key(fake_server, status):
    server = fake_server(lambda hit: Fault(status) if hit.attempt <= 2 else None)
    answers = ask(backend(server.url), chat("a"), chat("b"))
    assert [a.attempts for a in answers] == [3, 3]
    keys = [h.header("idempotency-key") for h in server.hits]
    assert len(keys) == 6
    assert len(set(keys)) == 2


@pytest.mark.parametrize("how", ["cut", "cut_body", "broken_json", "garbage", "hang"])
def test_a_broken_answer_is_tried_again(fake_server, how):
    server = fake_server(lambda hit: Fault(how=how) if hit.attempt == 1 else None)
    (answer,) = ask(backend(server.url, timeout_s=0.3), chat("a"))
    assert answer.attempts == 2
    assert answer.text.startswith("reply ")


def test_tries_end_at_max_attempts(fake_server):
    server = fake_server(Fault(500, message="out of memory"))
    with pytest.raises(ModelError, match=r"teacher: http://127.*status 500: out of memory \(3 requests sent\)") as e:
        ask(backend(server.url, max_attempts=3), chat("a"))
    assert (e.value.attempts, e.value.status) == (3, 500)
    assert e.value.cure
    assert len(server.hits) == 3


def test_refusals_for_load_do_not_count_against_max_attempts(fake_server):
    server = fake_server(lambda hit: Fault(429) if hit.attempt <= 4 else None)
    (answer,) = ask(backend(server.url, max_attempts=1), chat("a"))
    assert answer.attempts == 5


def test_refusals_for_load_end_with_patience(fake_server):
    server = fake_server(Fault(429, message="slow down"))
    with pytest.raises(ModelError, match="slow down") as e:
        ask(backend(server.url, patience_s=0.1), chat("a"))
    assert "run.concurrency" in e.value.cure


def test_retry_after_holds_every_call_to_the_endpoint(fake_server):
    server = fake_server(lambda hit: Fault(429, header="retry-after: 1") if hit.number == 1 else None)

    async def work(model):
        first = asyncio.create_task(model.answer(chat("first")))
        while not server.hits or server.hits[0].answered is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # the refusal has been read
        return await asyncio.gather(first, *(model.answer(chat(f"{i}")) for i in range(5)))

    assert len(run(backend(server.url), work)) == 6
    refused = server.hits[0].answered
    assert all(h.arrived - refused > 0.95 for h in server.hits[1:])


def test_a_retry_after_beyond_patience_fails_at_once(fake_server):
    server = fake_server(Fault(429, header="retry-after: 3600"))

    async def work(model):
        for text in "ab":
            with pytest.raises(ModelError) as e:
                await model.answer(chat(text))
        return str(e.value)

    assert "wants no calls for another 3600 s" in run(backend(server.url, patience_s=5), work)
    assert len(server.hits) == 1


# Under load


def test_a_server_that_refuses_half_of_all_requests_answers_every_call(fake_server, monkeypatch):
    monkeypatch.setattr(_http, "FIRST_BACKOFF_S", 0.001)
    server = fake_server(lambda hit: Fault(429) if hit.chance() < 0.5 else None, latency_ms=2)
    answers = ask(backend(server.url, max_attempts=1), *(chat(f"{i}") for i in range(200)))
    assert len({a.text for a in answers}) == 200
    stats = server.stats()
    assert stats["answered"] == 200
    assert stats["repeats"] == 0
    assert sum(a.attempts for a in answers) == stats["requests"] < 3 * 200


def test_calls_in_flight_settle_at_what_the_server_takes(fake_server):
    server = fake_server(lambda hit: Fault(429) if hit.in_flight > 16 else None, latency_ms=3)
    answers = ask(backend(server.url, concurrency=128), *(chat(f"{i}") for i in range(1000)))
    assert len(answers) == 1000
    later = server.hits[500:]
    assert sum(h.status == 429 for h in later) / len(later) < 0.4
    assert sum(h.in_flight for h in later) / len(later) > 6


def test_concurrency_is_the_ceiling(fake_server):
    server = fake_server(latency_ms=5)
    ask(backend(server.url, concurrency=7), *(chat(f"{i}") for i in range(50)))
    assert server.stats()["peak_in_flight"] == 7


@pytest.mark.parametrize("how", ["refused", "cut"])
def test_a_server_that_dies_and_comes_back_costs_no_call(fake_server, how):
    """Connections are refused, or accepted and cut as by a container's port forwarding."""
    dead = False
    server = fake_server(lambda _: Fault(how="cut") if dead else None, latency_ms=5)

    async def work(model):
        nonlocal dead
        calls = [asyncio.create_task(model.answer(chat(f"{i}"))) for i in range(400)]
        while len(server.hits) < 100:
            await asyncio.sleep(0.005)
        dead = True
        if how == "refused":
            server.kill()
        await asyncio.sleep(0.6)  # without the breaker, three attempts are spent in a twentieth of that
        dead = False
        if how == "refused":
            server.revive()
        return await asyncio.gather(*calls)

    answers = run(backend(server.url, concurrency=16, max_attempts=3), work)
    assert len({a.text for a in answers}) == 400
    wasted = sum(a.attempts for a in answers) - 400
    assert wasted < 50  # those in flight, and single probes: not the whole queue over and over


def test_a_server_that_is_not_there_fails_calls_when_patience_ends(fake_server):
    server = fake_server()
    server.kill()
    calls = [chat(f"{i}") for i in range(100)]

    async def work(model):
        return await asyncio.gather(*(model.answer(c) for c in calls), return_exceptions=True)

    errors = run(backend(server.url, patience_s=0.6), work)
    assert {type(e) for e in errors} == {ModelError}
    assert all("start the server" in e.cure for e in errors)
    server.revive()


def test_the_user_is_told_when_a_server_goes_and_comes(fake_server, caplog):
    server = fake_server()
    server.kill()

    async def work(model):
        call = asyncio.create_task(model.answer(chat("a")))
        await asyncio.sleep(0.1)
        server.revive()
        await call

    run(backend(server.url), work)
    assert [r.message.split(server.url)[1] for r in caplog.records] == [
        " answers no call; waiting 600 s for it",
        " answers again",
    ]


def test_a_cancelled_call_gives_its_place_up(fake_server):
    server = fake_server(lambda hit: Fault(how="hang") if b"hang" in hit.raw else None)

    async def work(model):
        hung = asyncio.create_task(model.answer(chat("hang")))
        while not server.hits:
            await asyncio.sleep(0.005)
        waiting = asyncio.create_task(model.answer(chat("next")))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        hung.cancel()
        return await asyncio.wait_for(waiting, 5)

    assert run(backend(server.url, concurrency=1), work).text.startswith("reply ")


def test_close_leaves_no_connection_open(fake_server):
    server = fake_server(lambda hit: Fault(how="cut_body") if hit.number == 3 else None, latency_ms=1)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        ask(backend(server.url), *(chat(f"{i}") for i in range(20)))
        gc.collect()
    assert [w for w in seen if issubclass(w.category, ResourceWarning)] == []
    deadline = time.monotonic() + 5
    while server.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not server.connections
