"""A sequence classifier as a reward: sentiment, harmlessness, or a reward model with its one label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from trainers.data.prompts import Prompt
from trainers.errors import HandoffError
from trainers.rewards.reward import Answers, Floats, require


@dataclass(frozen=True)
class Classifier:
    """A logit, or a probability, of a sequence classifier that transformers loads.

    It reads the prompt's text with the response after it, or the response alone (`reads`); conversations go through the
    classifier's own chat template.
    """

    name: str
    model: str
    index: int = 0
    """Which of its labels."""
    output: str = "logit"
    reads: str = "prompt_and_response"
    revision: str | None = None
    max_length: int = 1024
    """Tokens; what is longer loses its beginning."""
    batch_size: int = 32

    OUTPUTS: ClassVar = ("logit", "probability")
    READS: ClassVar = ("prompt_and_response", "response")

    def __post_init__(self) -> None:
        require(self.output in self.OUTPUTS, f"output is {self.output!r}: it must be {' or '.join(self.OUTPUTS)}")
        require(self.reads in self.READS, f"reads is {self.reads!r}: it must be {' or '.join(self.READS)}")
        require(self.index >= 0 and self.batch_size >= 1 and self.max_length >= 2, "a number is too small")

    @property
    def names(self) -> tuple[str, ...]:
        """See `Reward`."""
        return (self.name,)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            model = AutoModelForSequenceClassification.from_pretrained(self.model, revision=self.revision)
            tokenizer = AutoTokenizer.from_pretrained(self.model, revision=self.revision or "main")
        except (OSError, ValueError) as error:
            raise HandoffError(f"reward {self.name}: {self.model!r} can't be loaded: {error}") from error
        if self.index >= model.config.num_labels:
            labels = model.config.num_labels
            raise HandoffError(
                f"reward {self.name}: {self.model} has {labels} labels, and none with index {self.index}"
            )
        tokenizer.truncation_side = "left"
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer

    @torch.no_grad()
    def __call__(self, answers: Answers) -> Floats:
        """See `Reward`."""
        model, tokenizer = self._loaded
        texts = [self._text(tokenizer, *pair) for pair in zip(answers.prompts, answers.responses, strict=True)]
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found = np.empty(len(texts))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            read = tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            )
            logits = model(**read.to(model.device)).logits.double()
            scores = logits.softmax(-1) if self.output == "probability" else logits
            found[rows] = scores[:, self.index].cpu().numpy()
        return found[:, None]

    def _text(self, tokenizer: Any, prompt: Prompt, response: str) -> str:
        if self.reads == "response":
            return response
        if isinstance(prompt, str):
            return prompt + response
        turns = [*prompt, {"role": "assistant", "content": response}]
        return str(tokenizer.apply_chat_template(turns, tokenize=False))

    def close(self) -> None:
        """See `Reward`."""
