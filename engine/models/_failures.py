"""What a failed HTTP call means: whether to try again, what the user is told, and how secrets stay out of it."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from engine.models._limiter import Outcome

RETRIED = frozenset({408, 409, 425, 429})  # and every 5xx
THROTTLES = frozenset({429, 503})
SHOWN = 500  # characters of a server's message
CURES = {
    400: "change the model's params, the operator's params or the row: the server can't do what was asked",
    401: "set OPENAI_API_KEY, or the model's api_key, to a key that this server accepts",
    403: "set OPENAI_API_KEY, or the model's api_key, to a key that may use this model",
    404: "correct the model's name, or its base_url (it ends with /v1 on most servers)",
    413: "shorten the row, or raise the server's limit",
    422: "change the model's params or the operator's params: the server does not know what was asked",
    Outcome.FAILED: "look into the server's log; a further build asks only what is missing",
    Outcome.TIMED_OUT: "raise params.timeout_s, or lower max_tokens",
    Outcome.THROTTLED: "lower run.concurrency, or raise params.patience_s",
    Outcome.UNREACHABLE: "start the server or correct base_url; a further build asks only what is missing",
}


class CallError(Exception):
    """One failed request. `retry` says whether another one may fare better, `outcome` what the limiter learns.

    `sent` is false where the server was not asked at all.
    """

    def __init__(
        self,
        message: str,
        outcome: Outcome,
        *,
        retry: bool = True,
        sent: bool = True,
        status: int | None = None,
        retry_after: float = 0.0,
        cure: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.outcome = outcome
        self.retry = retry
        self.sent = sent
        self.status = status
        self.retry_after = retry_after
        self.cure = cure or CURES.get(outcome)


def of_status(response: aiohttp.ClientResponse, body: bytes) -> CallError:
    """The failure that an answer other than 200 stands for."""
    status = response.status
    message, code = _error_of(body)
    if 300 <= status < 400:
        cure = f"set base_url to where it redirects: {response.headers.get('Location', 'not said')}"
        return CallError(f"status {status}", Outcome.ANSWERED, retry=False, status=status, cure=cure)
    text = f"status {status}: {message}"
    if code == "insufficient_quota":  # OpenAI's 429 that no waiting helps
        return CallError(
            text, Outcome.ANSWERED, retry=False, status=status, cure="add credit to the account of the key"
        )
    if status not in RETRIED and status < 500:
        return CallError(text, Outcome.ANSWERED, retry=False, status=status, cure=CURES.get(status))
    outcome = Outcome.THROTTLED if status in THROTTLES else Outcome.FAILED
    return CallError(text, outcome, status=status, retry_after=retry_after(response.headers.get("Retry-After")))


def of_exception(error: Exception) -> CallError:
    """The failure behind an exception of the HTTP client."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, aiohttp.ClientSSLError):
        cure = "use http:// for a server without TLS; else install the server's certificate on this machine"
        return CallError(text, Outcome.ANSWERED, retry=False, cure=cure)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return CallError(text, Outcome.UNREACHABLE)
    if isinstance(error, TimeoutError):
        return CallError("no answer in time", Outcome.TIMED_OUT)
    return CallError(f"connection lost: {text}", Outcome.FAILED)


def retry_after(header: str | None) -> float:
    """Seconds from now that a `Retry-After` header (seconds or an HTTP date) asks for; 0 where it says nothing."""
    if header is None:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0


def _error_of(body: bytes) -> tuple[str, str | None]:
    """The server's message and its code: OpenAI's shape, FastAPI's `detail`, or the bare text."""
    try:
        error: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace").strip()[:SHOWN] or "no message", None
    code = None
    if isinstance(error, dict):
        error = error.get("error") or error.get("detail") or error.get("message") or error
    if isinstance(error, dict):
        code = error.get("code") or error.get("type")
        error = error.get("message") or error
    text = error if isinstance(error, str) else orjson.dumps(error).decode()
    return text[:SHOWN], code if isinstance(code, str) else None


class Redactor:
    """Takes secrets out of texts: the given ones, anything like an OpenAI key, and bearer tokens."""

    def __init__(self, *secrets: str | None) -> None:
        # A "key" of under four characters is a placeholder for servers without keys; cutting it would garble messages.
        known = [re.escape(s) for s in secrets if s and len(s) > 3]
        self._pattern = re.compile("|".join([*known, r"\bsk-[\w*.-]+", r"(?i:\bbearer\s+)[^\s\"',}]+"]))

    def __call__(self, text: str) -> str:
        return self._pattern.sub("[redacted]", text)
