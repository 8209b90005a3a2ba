"""What a failed call tells the limiter and the user, by a real server on loopback; and no secret in it."""

import time

import pytest
from fake_server import Fault
from teacher import KEY, ask, backend, chat

from engine.errors import ModelError, SetwrightError
from engine.models._failures import retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("7", 7), ("0.5", 0.5), ("-3", 0), ("soon", 0), ("Thu, 01 Jan 1970 00:01:40 GMT", 40)],
)
def test_retry_after_is_seconds_or_a_date(monkeypatch, header, seconds):
    monkeypatch.setattr(time, "time", lambda: 60.0)
    assert retry_after(header) == seconds


@pytest.mark.parametrize(
    ("status", "cure"),
    [(400, "params"), (401, "OPENAI_API_KEY"), (403, "api_key"), (404, "base_url"), (413, "shorten"), (422, "params")],
)
def test_a_refused_request_is_not_tried_again(fake_server, status, cure):
    server = fake_server(Fault(status, message="the reason"))
    with pytest.raises(ModelError, match="the reason") as e:
        ask(backend(server.url), chat("a"))
    assert (e.value.status, e.value.attempts) == (status, 1)
    assert cure in e.value.cure
    assert len(server.hits) == 1


def test_an_empty_account_is_not_tried_again(fake_server):
    server = fake_server(Fault(429, code="insufficient_quota"))
    with pytest.raises(ModelError) as e:
        ask(backend(server.url), chat("a"))
    assert "credit" in e.value.cure
    assert len(server.hits) == 1


def test_a_redirect_is_not_followed_but_named(fake_server):
    there = fake_server()
    here = fake_server(Fault(307, header=f"location: {there.url}/chat/completions"))
    with pytest.raises(ModelError, match="status 307") as e:
        ask(backend(here.url), chat("a"))
    assert e.value.cure == f"set base_url to where it redirects: {there.url}/chat/completions"
    assert not there.hits


@pytest.mark.parametrize("status", [401, 500])
def test_no_error_shows_a_secret(fake_server, status):
    def tell(hit):
        return Fault(status, message=f"bad: {hit.header('authorization')} and {KEY}, sk-proj-Abc_123*** and Bearer xyz")

    server = fake_server(tell)
    url = server.url.replace("http://", "http://user:pass-word@")
    for address in (server.url, url):
        with pytest.raises(ModelError) as e:
            ask(backend(address, max_attempts=2), chat("a"))
        shown = f"{e.value} {e.value!r} {e.value.cure} {e.value.__cause__}"
        assert "bad: " in shown
        for secret in (KEY, "sk-proj", "Abc_123", "xyz", "pass-word"):
            assert secret not in shown


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://x/v1", "/v1", "http:///v1"])
def test_an_address_that_is_none_is_found_at_construction(url):
    with pytest.raises(SetwrightError, match="not an http address"):
        backend(url)
