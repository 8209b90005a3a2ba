"""One HTTP endpoint under load: bounded calls in flight, retries, time-outs, and errors without secrets.

What is sent and how an answer is read is the business of the backend that owns the endpoint.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from engine.errors import ModelError, SetwrightError
from engine.models._deadlines import Deadlines
from engine.models._failures import CallError, Redactor, of_exception, of_status
from engine.models._limiter import Limiter, Outcome, OutOfPatienceError, Permit, Turnstile

T = TypeVar("T")
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 60.0
CONNECT_S = 30.0
KEEP_ALIVE_S = 4.0  # under the 5 s after which uvicorn (vLLM, SGLang) closes: no request meets a closing connection
PATIENT = frozenset({Outcome.THROTTLED, Outcome.UNREACHABLE})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Persistence:
    """How long a call is tried.

    Two budgets: `max_attempts` for failures that may be the call's own (an error of the server, a cut connection, a
    time-out, an unreadable answer), `patience_s` for those that are the endpoint's (it throttles, it can't be reached).
    """

    timeout_s: float
    max_attempts: int
    patience_s: float


class _Posted(NamedTuple):
    """A request as it is sent, as often as it has to be."""

    url: URL
    payload: bytes
    headers: Mapping[str, str]


@dataclass
class _Spent:
    """What a call that failed has spent of its budgets."""

    attempts: int = 0  # requests sent
    failures: int = 0  # of them, those that count against max_attempts
    refusals: int = 0  # and those that count against patience_s,
    refused_since: float | None = None  # from here on

    def add(self, error: CallError) -> None:
        self.attempts += error.sent
        if error.outcome in PATIENT:
            self.refusals += 1
            self.refused_since = time.monotonic() if self.refused_since is None else self.refused_since
        else:
            self.failures += 1
            self.refused_since = None

    def left(self, budgets: Persistence, pause: float) -> bool:
        """Whether another attempt may be made after a pause."""
        refused = 0.0 if self.refused_since is None else time.monotonic() + pause - self.refused_since
        return self.failures < budgets.max_attempts and refused <= budgets.patience_s

    def backoff(self) -> float:
        """Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015)."""
        tries = self.failures + self.refusals
        return random.uniform(0, min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(tries - 1, 10)))


class Endpoint:
    """A server and the calls in flight to it; used inside one event loop, between `start` and `close`.

    Args:
        name: what messages call it.
        base_url: the address that paths are added to.
        secret: the key for the `Authorization` header; "" sends none.
        concurrency: calls in flight at most.
        budgets: how long a call is tried.
    """

    def __init__(self, name: str, base_url: str, secret: str, concurrency: int, budgets: Persistence) -> None:
        self._base = URL(base_url)
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise SetwrightError(
                f"{name}: base_url {base_url!r} is not an http address", cure="write it like http://localhost:8000/v1"
            )
        self._name = name
        self._shown = str(self._base.with_user(None).with_query(None))
        self._proxy = _proxy_for(self._base)
        self._redact = Redactor(secret, *(url.raw_password for url in (self._base, self._proxy) if url))
        self._headers = {"Content-Type": "application/json"}
        if secret and self._base.user is None:  # an address with its own credentials needs no key
            self._headers["Authorization"] = f"Bearer {secret}"
        self._budgets = budgets
        self._deadlines = Deadlines(budgets.timeout_s)
        self._limiter = Limiter(concurrency)
        self._gate = Turnstile(self._limiter, budgets.patience_s)
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def start(self) -> None:
        """Open the session; connections are made as calls need them."""
        self._deadlines = Deadlines(self._budgets.timeout_s)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T]) -> tuple[T, int]:
        """Post `body` as JSON and read the JSON that comes back; returns what was read and the requests it took.

        `read` raises a lookup, type or value error for an answer of another shape: that is tried again. Or it raises a
        `CallError` that is not.

        Raises:
            ModelError: the server refuses the request, or a budget is spent.
        """
        payload = orjson.dumps(body)
        key = hashlib.blake2b(b"%b\n%b" % (path.encode(), payload), digest_size=16).hexdigest()
        request = _Posted(self._url(path), payload, {"Idempotency-Key": key})
        try:
            return await self._attempt(request, read), 1
        except CallError as error:
            return await self._persist(request, read, error)

    async def _persist(self, request: _Posted, read: Callable[[Any], T], error: CallError) -> tuple[T, int]:
        """Try again after a failed attempt, while its budgets last."""
        spent = _Spent()
        while True:
            spent.add(error)
            if not error.retry or not spent.left(self._budgets, error.retry_after):
                raise self._error(error, spent) from None
            if error.outcome is not Outcome.UNREACHABLE:  # the gate paces the probes of an endpoint that is down
                await asyncio.sleep(spent.backoff())
            try:
                return await self._attempt(request, read), spent.attempts + 1
            except CallError as failed:
                error = failed

    def _url(self, path: str) -> URL:
        """The address of a path; made once, since parsing it costs as much as sending a small request."""
        if path not in self._urls:
            self._urls[path] = self._base.joinpath(path).with_query(self._base.query)
        return self._urls[path]

    async def _attempt(self, request: _Posted, read: Callable[[Any], T]) -> T:
        try:
            permit = await self._gate.enter()
        except OutOfPatienceError as error:
            raise CallError(str(error), Outcome.UNREACHABLE, retry=False, sent=False) from None
        outcome, pause = Outcome.WITHDRAWN, 0.0
        try:
            value = _read(await self._send(request), read)
            outcome = Outcome.ANSWERED
            return value
        except CallError as error:
            outcome, pause = error.outcome, error.retry_after
            raise
        finally:
            self._leave(permit, outcome, pause)

    def _leave(self, permit: Permit, outcome: Outcome, pause: float) -> None:
        """Give the permit back; tell the user once when the endpoint goes down, and once when it is back."""
        was_down = self._limiter.down
        self._gate.leave(permit, outcome, pause)
        if self._limiter.down and not was_down:
            wait = self._budgets.patience_s
            log.warning("%s: %s answers no call; waiting %g s for it", self._name, self._shown, wait)
        elif was_down and not self._limiter.down:
            log.warning("%s: %s answers again", self._name, self._shown)

    async def _send(self, request: _Posted) -> Any:
        assert self._session is not None, "start() comes before the first call"
        try:
            with self._deadlines:
                response = await self._session.post(
                    request.url, data=request.payload, headers=request.headers, allow_redirects=False
                )
                body = await response.read()  # the whole of it, which gives the connection back
        except (aiohttp.ClientError, OSError) as error:
            raise of_exception(error) from None
        if response.status != 200:
            raise of_status(response, body)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise CallError(f"the answer is not JSON: {error}", Outcome.FAILED) from None

    def _error(self, error: CallError, spent: _Spent) -> ModelError:
        sent = f" ({spent.attempts} requests sent)" if spent.attempts > 1 else ""
        message = self._redact(f"{self._name}: {self._shown}: {error.message}{sent}")
        cure = self._redact(error.cure) if error.cure else None
        return ModelError(message, cure=cure, status=error.status, attempts=spent.attempts)


def _proxy_for(address: URL) -> URL | None:
    """The proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY and their kin)."""
    proxy = getproxies().get(address.scheme)
    return None if proxy is None or proxy_bypass(address.host or "") else URL(proxy)


def _read(reply: Any, read: Callable[[Any], T]) -> T:
    try:
        return read(reply)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        message = f"the answer has an unexpected shape ({type(error).__name__}: {error}): {str(reply)[:200]}"
        raise CallError(message, Outcome.FAILED) from None
