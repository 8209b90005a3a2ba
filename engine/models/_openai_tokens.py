"""Next tokens by their ids, at servers that tokenise (vLLM): no candidate is hidden by the limit of the most likely.

The OpenAI protocol shows the twenty most likely tokens alone. vLLM shows those that `logprob_token_ids` names, out of
the softmax over the whole vocabulary, and its `/tokenize` tells a candidate's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.errors import ModelError
from engine.models._http import Endpoint
from engine.models._openai_wire import Body, next_token_body, top_tokens, usage
from engine.request import Answer, NextToken

TOKENIZE = "../tokenize"  # beside /v1, not under it


class Named:
    """Candidates whose tokens' ids are known: how they are asked for, and read from a reply."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self.fields: Body = {"logprob_token_ids": sorted(ids.values()), "return_tokens_as_token_ids": True}
        self._shown = {text: f"token_id:{id_}" for text, id_ in ids.items()}

    def body(self, request: NextToken) -> Body:
        """As `next_token_body`, with the candidates by their ids besides the token that is drawn."""
        return {**next_token_body(request, most_likely=1), **self.fields}

    def reader(self, request: NextToken) -> Callable[[Any], Answer | None]:
        """A reader for the candidates' log-probabilities; None from a server that does not show all of them."""

        def read(reply: Any) -> Answer | None:
            top = top_tokens(reply, request)
            if not all(shown in top for shown in self._shown.values()):
                return None
            return Answer(logprobs={text: top[shown] for text, shown in self._shown.items()}, **usage(reply))

        return read


class TokenIds:
    """The ids of candidates; every set of candidates is asked for once."""

    def __init__(self, endpoint: Endpoint, model: str) -> None:
        self._endpoint = endpoint
        self._model = model
        self._known: dict[tuple[str, ...], Named] = {}
        self._asked: dict[tuple[str, ...], asyncio.Task[None]] = {}
        self._useless = False

    async def of(self, candidates: tuple[str, ...]) -> Named | None:
        """The candidates by their tokens; None where the server does not tokenise, or shows no tokens by id.

        Raises:
            ModelError: two candidates begin with the same token, or the server can't be reached.
        """
        if not self._useless and candidates not in self._known:
            if candidates not in self._asked:
                self._asked[candidates] = asyncio.create_task(self._ask(candidates))
            try:
                await asyncio.shield(self._asked[candidates])
            except ModelError:  # the next call asks again
                self._asked.pop(candidates, None)
                raise
        return None if self._useless else self._known[candidates]

    def give_up(self) -> None:
        """The server did not show tokens by id; don't ask for them again."""
        self._useless = True

    async def _ask(self, candidates: tuple[str, ...]) -> None:
        ids = await asyncio.gather(*map(self._id, candidates))
        found = {text: id_ for text, id_ in zip(candidates, ids, strict=True) if id_ is not None}
        if len(found) < len(candidates):
            self.give_up()
        elif len(set(ids)) < len(ids):
            raise ModelError(
                f"two of the candidates {', '.join(candidates)} begin with the same token",
                cure="choose candidates that differ in their first token",
            )
        else:
            self._known[candidates] = Named(found)

    async def _id(self, candidate: str) -> int | None:
        body = {"model": self._model, "prompt": candidate, "add_special_tokens": False, "return_token_strs": True}
        try:
            id_, _ = await self._endpoint.post(TOKENIZE, body, _token(candidate))
        except ModelError as error:
            if error.status is None or error.status >= 500 or error.status == 429:
                raise
            return None
        return id_


def _token(candidate: str) -> Callable[[Any], int | None]:
    """A reader for the token that is spelt as the candidate, or else its first; None from another kind of server.

    Some tokenizers put a space before any text that they encode, as a token of its own before a digit's.
    """

    def read(reply: Any) -> int | None:
        ids: Sequence[int] = reply.get("tokens") or ()
        spelt: Sequence[str] = reply.get("token_strs") or ()
        if not ids or len(ids) != len(spelt):
            return None
        return int(ids[spelt.index(candidate)] if candidate in spelt else ids[0])

    return read
