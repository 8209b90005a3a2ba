"""How I-SHEEP asks its models: as a base model that completes a text, or as a tuned one that answers a user.

Liang et al., "I-SHEEP: Self-Alignment of LLM from Scratch through an Iterative Self-Enhancement Paradigm" (arXiv
2408.08072). The operators that ask are `generate: i_sheep`, `generate: i_sheep_answer` and `score: self_assessment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from engine.needs import MODEL, Role
from engine.operator import Context, Params
from engine.request import Answer, Capability, Message, Sampling


class AskParams(Params):
    """How a model is asked: by default drawn as in the paper, in every step.

    `form: base` sends a raw completion, `chat` a user's turn under the model's chat template; in `rounds:`, a `change`
    makes it `base` for the first round's model and leaves it `chat` for those that were tuned. At `temperature: 0`
    replies are greedy.
    """

    form: Literal["base", "chat"] = "base"
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_tokens: int = Field(1000, ge=1)

    def sampling(self, *stop: str) -> Sampling:
        """How a reply is drawn."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, stop=stop)


def roles(params: AskParams) -> Mapping[str, Role]:
    """What the model must offer for a form."""
    return {MODEL: Role(frozenset({Capability.GENERATE if params.form == "base" else Capability.CHAT}))}


async def complete(ctx: Context, prompt: str, draw: int, params: AskParams, *stop: str) -> Answer:
    """The completion of a prompt, or the answer to it as a user's turn."""
    if params.form == "base":
        return await ctx.model.generate(prompt, draw=draw, sampling=params.sampling(*stop))
    turn: Message = {"role": "user", "content": prompt}
    return await ctx.model.chat([turn], draw=draw, sampling=params.sampling(*stop))
