"""What the fake server says: pure functions of a request, so that the same request has the same answer in any run.

Tokens are words with the spaces before them; a token's log-probability is minus an eighth of its length (exact in
binary, easily summed by hand). The model `no-logprobs` leaves log-probabilities out, and `bos` starts with a token.
For models named `tokenises...` there is `/tokenize`, as vLLM has it: a token is a character, its id the code point, its
log-probability minus an eighth of that where the request names it (but not with `tokenises-only`).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

LETTERS = {token: -0.5 * (i + 1) for i, token in enumerate("ABCDEFGHIJKLMNOPQRST")}  # "A": -0.5, "B": -1.0, ...
DIM = 4


def reply(path: str, body: Any) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    answers = {"/v1/chat/completions": chat, "/v1/completions": completion, "/v1/embeddings": embeddings}
    answer = answers.get(path)
    if path == "/tokenize" and body["model"].startswith("tokenises"):
        return 200, tokenize(body)
    if answer is None:
        return 404, {"detail": "Not Found"}
    if body["model"] == "missing":
        return 404, {"error": {"message": "The model `missing` does not exist.", "type": "NotFoundError"}}
    try:
        return 200, answer(body)
    except (LookupError, TypeError, AttributeError) as error:
        return 400, {"error": {"message": f"not a request of this protocol: {error!r}", "type": "BadRequestError"}}


def chat(body: Any) -> Any:
    message = {"role": "assistant", "content": f"reply {digest_of(body)}"}
    if "tools" in body:
        call = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": call}],
        }
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    if body.get("logprobs") and body["model"] != "no-logprobs":
        top = [{"token": t, "logprob": p} for t, p in likely(body).items()]
        choice["logprobs"] = {"content": [{"token": "A", "logprob": -0.5, "top_logprobs": top}]}
    words = sum(len((m["content"] or "").split()) for m in body["messages"])
    return {"object": "chat.completion", "choices": [choice], "usage": usage(words, 2)}


def completion(body: Any) -> Any:
    text = f" completion {digest_of(body)}"
    tokens = tokens_of(body["prompt"])
    choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "length", "logprobs": None}
    if body["model"] == "no-logprobs":
        return {"choices": [choice], "usage": usage(len(tokens), 2)}
    if body.get("echo"):
        tokens = ["<s>", *tokens] if body["model"] == "bos" else tokens
        logprobs = [None if i == 0 else -len(t) / 8 for i, t in enumerate(tokens)]
        choice["text"] = body["prompt"] + " next"
        choice["logprobs"] = {"tokens": [*tokens, " next"], "token_logprobs": [*logprobs, -0.1]}
    elif body.get("logprobs"):
        choice["logprobs"] = {"tokens": ["A"], "token_logprobs": [-0.5], "top_logprobs": [likely(body)]}
    return {"object": "text_completion", "choices": [choice], "usage": usage(len(tokens), 2)}


def likely(body: Any) -> dict[str, float]:
    """The tokens that a reply shows: those that are named by their ids, or else the most likely ones."""
    if "logprob_token_ids" in body and body["model"] != "tokenises-only":
        return {f"token_id:{id_}": -id_ / 8 for id_ in (65, *body["logprob_token_ids"])}
    wanted = body["top_logprobs"] if "messages" in body else body["logprobs"]
    return dict(list(LETTERS.items())[:wanted])


def tokenize(body: Any) -> Any:
    space = "\u2581" if body["model"] == "tokenises-with-a-space" else ""
    text = space + body["prompt"]
    return {"count": len(text), "tokens": [ord(c) for c in text], "token_strs": list(text)}


def embeddings(body: Any) -> Any:
    """One vector a text, last text first: a client must go by `index`."""
    data = [
        {"index": i, "embedding": vector_of(text, body.get("dimensions", DIM))} for i, text in enumerate(body["input"])
    ]
    return {"object": "list", "data": data[::-1], "usage": usage(len(data), 0)}


def tokens_of(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def vector_of(text: str, dim: int) -> list[float]:
    """The length of the text, then bytes of its digest, as floats that float32 holds exactly."""
    return [float(len(text)), *(b / 256 for b in hashlib.blake2b(text.encode(), digest_size=dim - 1).digest())]


def digest_of(body: Any) -> str:
    return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=6).hexdigest()


def usage(prompt: int, reply: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply}
