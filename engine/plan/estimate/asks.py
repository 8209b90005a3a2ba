"""What a row takes by what its operator says (`needs.Asks`): bounds, for rows that are not there yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.model import Backend
from engine.needs import Asks
from engine.plan.estimate.usage import FRAME, Usage
from engine.plan.spans import NOTHING, UNKNOWN, Span, total
from engine.plan.steps import Step
from engine.request import Capability

SAYS = frozenset({Capability.CHAT, Capability.GENERATE})
READS = frozenset({Capability.LOGLIKELIHOOD})


def recorded(step: Step, backends: Mapping[str, Backend]) -> dict[str, Backend]:
    """The models that a step asks by their roles, without those whose calls are too cheap to be counted."""
    found = {role: backends[model] for role, model in step.models_by_role.items()}
    return {role: backend for role, backend in found.items() if backend.recorded}


def bounds_of(step: Step, backends: Mapping[str, Backend], texts: Span) -> Usage:
    """What one row takes, at least and at most; `texts` are the tokens of its own texts."""
    per_row = Usage()
    for asks, usage in _calls(step, backends, texts):
        per_row += usage * Span(*asks.calls)
    return per_row


def one_call(step: Step, backends: Mapping[str, Backend], texts: Span) -> Usage:
    """What any one of its calls takes."""
    calls = [usage for _, usage in _calls(step, backends, texts)]
    tokens_in, tokens_out = ([getattr(c, side) for c in calls] for side in ("tokens_in", "tokens_out"))
    return Usage(Span(1, 1), _hull(tokens_in), _hull(tokens_out))


def text_made(step: Step, backends: Mapping[str, Backend], texts: Span) -> Span:
    """The tokens that a column of a row made by a generator can have: what its row had, was asked and was told."""
    most = bounds_of(step, backends, texts)
    return Span(0, total((texts, most.tokens_in, most.tokens_out)).high)


def _calls(step: Step, backends: Mapping[str, Backend], texts: Span) -> Iterator[tuple[Asks, Usage]]:
    assert step.operator is not None
    asked, roles = recorded(step, backends), step.operator.roles_of(step.params)
    several = len(step.operator.reads_of(step.params)) > 1
    for asks in step.operator.asks_of(step.params):
        if asks.role not in asked:
            continue
        needs = roles[asks.role].needs
        if needs == {Capability.EMBED}:
            yield asks, Usage(Span(1, 1))
            continue
        own = Span(0, texts.high) if asks.calls[1] > 1 and several else texts  # each call may show another column
        read = Span(*asks.prompt) + own * Span(asks.texts, asks.texts)
        yield asks, Usage(Span(1, 1), read + FRAME, _reply(asks, needs, asked[asks.role], read))


def _reply(asks: Asks, needs: frozenset[Capability], backend: Backend, read: Span) -> Span:
    if asks.reply is not None:
        return Span(*asks.reply)
    if needs & SAYS:
        return Span(0, backend.sampling.max_tokens)
    return Span(0, (read + FRAME).high) if needs & READS else Span(0, 1)


def _hull(spans: list[Span]) -> Span:
    if not spans:
        return NOTHING
    highs = [span.high for span in spans]
    most = UNKNOWN.high if None in highs else max(high for high in highs if high is not None)
    return Span(min(span.low for span in spans), most)
