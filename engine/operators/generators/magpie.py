"""`generate: magpie`: instructions and answers out of an aligned model that is prompted with nothing.

Xu et al., "Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing" (arXiv 2406.08464).
The parameters are in `_magpie_params`, the prompts in `_pre_query`, the system texts and sampling grids in
`_magpie_tasks`, the sanitizer in `_magpie_sanitize`. Tags and filters are scorers and a selector of their own,
preference pairs are `generate: best_and_worst`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from engine.errors import ModelError, RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Reads, Row, generator
from engine.operators._answers import all_of
from engine.operators.generators._magpie_params import ATTEMPTS, MagpieParams
from engine.operators.generators._magpie_sanitize import sanitize
from engine.operators.generators._magpie_tasks import PLAIN, SEVERAL_ROUNDS, SYSTEM_TEXTS, Setting, Task, by_share
from engine.operators.generators._pre_query import before_user, cut, stop_texts
from engine.request import Answer, Capability, Message, Sampling
from engine.schema import MESSAGES, TEXT_TYPE

CONFIG = pa.struct(
    [
        ("temperature", pa.float64()),
        ("top_p", pa.float64()),
        ("max_tokens", pa.int32()),
        ("repetition_penalty", pa.float64()),  # none is ever applied: 1
        ("seed", pa.int64()),  # null for a greedy reply
    ]
)

WRITES = {
    "messages": MESSAGES,  # the card's `conversation`; never a system turn
    "instruction": pa.string(),  # the first user turn
    "response": pa.string(),  # the last assistant turn; of several samples the first
    "finish_reason": pa.string(),  # of that response
    "raw_instruction": pa.string(),  # the first user turn before sanitizing
    "sanitize_class": pa.float32(),  # the rule that changed it (`_magpie_sanitize.Rule`); null where none did
    "task": pa.string(),
    "system_prompt": pa.string(),  # that the first user turn was drawn under; null for none
    "pre_query_template": pa.string(),  # the very prompt of the first user turn
    "gen_input_config": CONFIG,
    "gen_response_config": CONFIG,
}

HEADING = re.compile(r"#{1,4}(?!#)")
# Draws are numbered turn * ATTEMPTS + attempt; answers and choices come after all turns.
RESPONSES, TASK, GRID = 10**9, 2 * 10**9, 2 * 10**9 + 1


def _writes(params: MagpieParams, _dim: int | None) -> dict[str, pa.DataType]:
    return WRITES if params.n_responses == 1 else WRITES | {"responses": pa.list_(pa.string())}


def _asks(params: MagpieParams) -> list[Asks]:
    """User turns, of which the first is drawn at least, and their answers; all that was said stands before each."""
    turns, last = params.turns, params.n_responses
    asked, told = params.max_tokens or 2048, params.response_sampling().max_tokens or 0
    system = max(tokens_in(task.text or "", SEVERAL_ROUNDS)[1] for task in params.tasks)
    talk = (turns - 1) * (asked + told)
    return [
        Asks((1, turns * (params.redraws + 1)), prompt=(0, system + talk), reply=(0, asked)),
        Asks((last if turns == 1 else 1, turns - 1 + last), prompt=(0, talk + asked), texts=0, reply=(0, told)),
    ]


@dataclass(frozen=True)
class UserTurn:
    """A user's message as it was drawn."""

    prompt: str
    raw: str
    text: str
    rule: float | None
    sampling: Sampling
    seed: int


@generator(
    params=MagpieParams,
    reads={"system_prompt": Reads(TEXT_TYPE, optional=True), "task": Reads(TEXT_TYPE, optional=True)},
    writes=_writes,
    needs={Capability.GENERATE, Capability.CHAT},
    asks=_asks,
    gives=lambda _, rows: (rows, rows),
    roots=lambda params: params.rows,
)
async def magpie(row: Row, params: MagpieParams, ctx: Context) -> list[dict[str, Any]]:
    """Lets an aligned model write instructions by itself, and answers them.

    The text that the chat template puts before a user's message is sent as a raw completion; what comes back is the
    instruction, and a chat call without any system text answers it. Further turns are drawn after the talk so far,
    under a system text that says the talk has several rounds; a further turn that stays empty, or that the model has
    no room for, is left out and ends the talk.

    Llama 3.1 is not to begin with one of the tokens "#" to "####". Instead of forbidding tokens, which few servers
    offer, a draw that begins so is drawn again with the next seed: what is left has the distribution that forbidding
    gives, as both are the model's own without those beginnings. The script's "first token hotter" can't be had that
    way and is left out. A special token that a server hides from its stop texts is an end all the same.

    Raises:
        RowError: no first user turn came of the draws that `redraws` allows.
        ModelError: a call failed, or the chat template is needed and can't be shown.
    """
    task, system = _task(row, params, ctx)
    setting: Setting = by_share(params.settings(), ctx.draw(row["row_id"], GRID))
    special = await stop_texts(ctx.model, params.family)
    talk: list[Message] = []
    first: UserTurn | None = None
    for _ in range(params.turns):
        try:
            user = await _user_turn(row, params, ctx, _before(talk, system), special, setting)
            if user is None:
                break
            asked: list[Message] = [*talk, {"role": "user", "content": user.text}]
            answers = await _responses(row, params, ctx, asked)
        except ModelError as e:
            if e.refused and talk:  # there is no room for a further turn
                break
            raise
        first = first or user
        talk = [*asked, {"role": "assistant", "content": answers[0].text}]
    if first is None:
        raise RowError(f"no instruction in {params.redraws + 1} draws: each was empty or began with a heading")
    seed = ctx.draw(row["row_id"], _response_number(len(talk) // 2 - 1, 0))
    config = {"gen_response_config": _config(params.response_sampling(), seed)}
    return [{**_child(talk, first, answers, params), **config, "task": task, "system_prompt": system}]


def _task(row: Row, params: MagpieParams, ctx: Context) -> tuple[str | None, str | None]:
    """The task and system text of a row: what its own columns say, or else drawn by the shares."""
    named, system = row.get("task"), row.get("system_prompt")
    if system:
        return named, system
    if named:
        known = {task.task: task.text for task in params.tasks}
        if named not in known | SYSTEM_TEXTS | {PLAIN: None}:
            raise RowError(f"the row's task {named!r} has no system text", cure="list it in `tasks`, with `system`")
        return named, known.get(named, SYSTEM_TEXTS.get(named))
    task: Task = by_share(params.tasks, ctx.draw(row["row_id"], TASK))
    return task.task, task.text


def _before(talk: list[Message], system: str | None) -> list[Message]:
    """The turns before a user's: of the first one the system text if there is any, of later ones the talk as well."""
    if not talk:
        return [{"role": "system", "content": system}] if system else []
    text = f"{system}\n\n{SEVERAL_ROUNDS}" if system else SEVERAL_ROUNDS
    return [{"role": "system", "content": text}, *talk]


async def _user_turn(
    row: Row, params: MagpieParams, ctx: Context, turns: list[Message], special: tuple[str, ...], setting: Setting
) -> UserTurn | None:
    """The next user turn after `turns`; None where no draw gave one."""
    number = sum(turn["role"] == "user" for turn in turns)
    prompt = await before_user(ctx.model, params.family, turns)
    stops = (*special, *params.stops_by(number))
    limit = params.max_tokens or 2048
    sampling = Sampling(temperature=setting.temperature, top_p=setting.top_p, max_tokens=limit, stop=stops)
    for attempt in range(params.redraws + 1):
        seed = ctx.draw(row["row_id"], number * ATTEMPTS + attempt)
        answer = await ctx.model.generate(prompt, draw=seed, sampling=sampling)
        raw = cut(answer.text or "", stops)
        if params.rule("no_headings") and HEADING.match(raw):
            continue
        text, rule = sanitize(raw) if params.rule("sanitize") else (raw, None)
        if text:
            return UserTurn(prompt, raw, text, rule, sampling, seed)
    return None


async def _responses(row: Row, params: MagpieParams, ctx: Context, talk: list[Message]) -> list[Answer]:
    """The answers to a talk that ends with the user: several to the last turn, one to those before it."""
    turn = len(talk) // 2
    n = params.n_responses if turn == params.turns - 1 else 1
    seeds = [ctx.draw(row["row_id"], _response_number(turn, k)) for k in range(n)]
    return await all_of(ctx.model.chat(talk, draw=seed, sampling=params.response_sampling()) for seed in seeds)


def _response_number(turn: int, k: int) -> int:
    return RESPONSES + turn * ATTEMPTS + k


def _child(talk: list[Message], first: UserTurn, answers: list[Answer], params: MagpieParams) -> dict[str, Any]:
    return {
        "messages": talk,
        "instruction": first.text,
        "response": answers[0].text,
        "finish_reason": answers[0].finish_reason,
        "raw_instruction": first.raw,
        "sanitize_class": first.rule,
        "pre_query_template": first.prompt,
        "gen_input_config": _config(first.sampling, first.seed),
        **({"responses": [answer.text for answer in answers]} if params.n_responses > 1 else {}),
    }


def _config(sampling: Sampling, seed: int) -> dict[str, Any]:
    fields = sampling.model_dump(include={"temperature", "top_p", "max_tokens"})
    return {**fields, "repetition_penalty": 1.0, "seed": None if sampling.greedy else seed}
