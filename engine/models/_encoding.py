"""Requests to token ids, by one tokenizer: templates, the border between context and continuation, length limits.

No torch here. What comes out are the small frozen items of `_items`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.errors import ModelError
from engine.models._items import Choice, Conversation, Draft, Item, Passage, Scored
from engine.models._reply import render_reply, reply_ids
from engine.models._template import render
from engine.request import (
    Chat,
    Embed,
    Generate,
    LogLikelihood,
    Message,
    NextToken,
    ReplyLogLikelihood,
    Request,
    Reward,
    Sampling,
)


@dataclass(frozen=True)
class Encoder:
    """A tokenizer, the limits of its model, and the sampling that fills what a request leaves open.

    Call it with a request. It raises `ModelError` where the text is empty or too long for the model, where there is
    no chat template, and where candidates can't be told apart; nothing is ever cut that the spec did not ask to cut.
    """

    tokenizer: Any
    limit: int | None  # tokens that the model can attend to
    defaults: Sampling
    chat_template: str | None = None  # instead of the tokenizer's own
    max_length: int | None = None  # tokens of a passage

    def __call__(self, request: Request) -> Item:
        """The item for a request; raises `ModelError`."""
        match request:
            case Generate(prompt, sampling, draw):
                return self._draft(self._encode(prompt), sampling, draw)
            case Chat(messages, sampling, draw):
                return self._draft(self._encode(self._render(messages)), sampling, draw)
            case LogLikelihood(context, continuation):
                return self._scored(context, continuation)
            case ReplyLogLikelihood(messages):
                ids, n = reply_ids(self.tokenizer, render_reply(self.tokenizer, self.chat_template, messages))
                return Scored(self._fitting(ids, spare=-1), n)
            case NextToken(candidates, None, str(prompt)):
                return Choice(self._fitting(self._begin(prompt)), self._candidates(candidates))
            case NextToken(candidates, messages, _):
                return Choice(self._fitting(self._encode(self._render(messages or ()))), self._candidates(candidates))
            case Embed(text):
                return self._passage(text)
            case Reward(messages):
                return Conversation(self._fitting(self._encode(self._render(messages, reply=False))))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of tokens, special tokens left out."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _render(self, messages: Sequence[Message], *, reply: bool = True) -> str:
        """Messages by the chat template, opened for a reply unless `reply` is false; tool calls are passed on."""
        return render(self.tokenizer, self.chat_template, messages, add_generation_prompt=reply)

    def _encode(self, text: str) -> list[int]:
        """Token ids of exactly this text: special tokens where the text spells them, none added."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _begin(self, text: str) -> list[int]:
        """Token ids of a text to be scored, after the beginning-of-text token that the tokenizer itself adds, once.

        Models trained with that token score badly without it. An empty text becomes the one token to condition on
        that lm-evaluation-harness takes (`prefix_token_id`): beginning of text, or else end of text.
        """
        ids = self._encode(text)
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        if self._adds_bos and ids[:1] != [bos]:
            return [bos, *ids]
        return ids or [token for token in (bos, eos) if token is not None][:1]

    @cached_property
    def _adds_bos(self) -> bool:
        bos = self.tokenizer.bos_token_id
        return bos is not None and self.tokenizer("a")["input_ids"][:1] == [bos]

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        return dict(self.tokenizer.get_vocab())

    @cached_property
    def _added(self) -> dict[str, int]:
        return dict(self.tokenizer.get_added_vocab())

    def _draft(self, ids: list[int], sampling: Sampling, draw: int) -> Draft:
        """A reply ends at the model's limit where that comes before `max_tokens`, with the finish reason `length`."""
        wanted = sampling.over(self.defaults)
        if wanted.max_tokens is None or wanted.max_tokens < 1:
            raise ModelError(f"max_tokens is {wanted.max_tokens}", cure="ask for at least one token")
        if "" in wanted.stop:
            raise ModelError("an empty stop text would end every reply at once", cure="drop it from `stop`")
        self._fitting(ids, spare=1)
        return Draft(
            ids,
            max_new=wanted.max_tokens if self.limit is None else min(wanted.max_tokens, self.limit - len(ids)),
            temperature=1.0 if wanted.temperature is None else wanted.temperature,
            top_p=1.0 if wanted.top_p is None else wanted.top_p,
            stop=wanted.stop,
            draw=draw,
            ends=frozenset(self._added[text] for text in wanted.stop if text in self._added),
        )

    def _scored(self, context: str, continuation: str) -> Scored:
        """Context and continuation tokenised together, as lm-evaluation-harness does (`TemplateLM._encode_pair`).

        White space at the end of the context is moved to the continuation. The continuation's tokens are those of the
        whole text after the first n, where n is the number of tokens of the context alone.
        """
        context, text = context.rstrip(), context + continuation
        head, whole = self._begin(context), self._begin(text)
        if not head:
            raise ModelError("nothing to condition on: no context, and the tokenizer has no begin or end of text")
        if not context and whole[:1] != head:
            whole = head + whole
        n = len(whole) - len(head)
        if n < 1:
            raise ModelError(
                "the continuation has no token of its own: it is empty, or merged with the end of the context",
                cure="give the continuation some text, and part it from the context at the border of a word",
            )
        return Scored(self._fitting(whole, spare=-1), n)  # the last token is predicted, never read

    def _candidates(self, candidates: Sequence[str]) -> dict[str, int]:
        tokens: dict[int, str] = {}
        for candidate in dict.fromkeys(candidates):
            token = self._first_token(candidate)
            if token in tokens:
                raise ModelError(
                    f"the candidates {tokens[token]!r} and {candidate!r} begin with the same token",
                    cure="choose candidates that differ in their first token",
                )
            tokens[token] = candidate
        return {candidate: token for token, candidate in tokens.items()}

    def _first_token(self, candidate: str) -> int:
        """The token spelt so, or else the first token of the candidate's encoding.

        The spelling comes first because some tokenizers put a space before any text that they encode, while after
        "score: " the model writes the bare piece "1". Byte-level tokenizers spell their bytes with letters, hence the
        look at what the piece decodes to.
        """
        token = self._vocabulary.get(candidate)
        if token is not None and self.tokenizer.decode([token]) == candidate:
            return token
        ids = self._encode(candidate)
        if not ids:
            raise ModelError(f"the candidate {candidate!r} has no token")
        return ids[0]

    def _passage(self, text: str) -> Passage:
        """A text with the special tokens that the tokenizer puts around it, cut to `max_length` where that is set."""
        ids: list[int] = self.tokenizer(text)["input_ids"]
        if self.max_length is not None and len(ids) > self.max_length:
            ids = self.tokenizer(text, truncation=True, max_length=self.max_length)["input_ids"]
            return Passage(self._fitting(ids), cut=True)
        cure = "set params.max_length to embed the beginning of long texts, or drop such rows"
        return Passage(self._fitting(ids, cure=cure), cut=False)

    def _fitting(self, ids: list[int], *, spare: int = 0, cure: str = "shorten the text, or drop the row") -> list[int]:
        """The ids, if there are any and the model can hold them and `spare` more."""
        if not ids:
            raise ModelError("the text has no tokens", cure="give some text, or the model's beginning-of-text token")
        if self.limit is not None and len(ids) + spare > self.limit:
            message = f"the text has {len(ids)} tokens and the model takes {self.limit - spare}"
            raise ModelError(message, cure=cure, status=422)
        return ids
