"""The deita scorers on a real checkpoint: batched and alone, against torch by hand, and what the head computes."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from operators.fakes import FakeContext
from tiny_model import build_tiny_model

from engine.model import ModelConfig
from engine.models._items import GRAIN
from engine.models.transformers import TransformersBackend, TransformersParams
from engine.operators.scorers._deita import COMPLEXITY, DIGITS
from engine.registry import operator
from engine.request import NextToken, Sampling

torch = pytest.importorskip("torch", reason="needs the extra `train`")
transformers = pytest.importorskip("transformers", reason="needs the extra `train`")

SCORERS = {name: operator("score", f"deita_{name}") for name in ("complexity", "quality")}


@pytest.fixture(scope="module", params=["LlamaForCausalLM", "GPT2LMHeadModel", "MistralForCausalLM"])
def checkpoint(request, tmp_path_factory):
    """Rotary and absolute positions, and a cache that need not be plain; the marker before the digit is in reach."""
    return build_tiny_model(tmp_path_factory.mktemp("scorer"), architecture=request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("llama"))


def words(rng, most):
    return " ".join(rng.choice(("the", "sea", "is", "12", "quality", "red")) for _ in range(rng.randint(1, most)))


def talks(count, seed, most=40):
    rng = random.Random(seed)
    return [
        {"row_id": f"r{i}", "prompt": words(rng, most), "response": words(rng, most)} for i in range(count)
    ]  # fmt: skip


@asynccontextmanager
async def model(folder):
    backend = TransformersBackend(ModelConfig("m", model=str(folder), params=TransformersParams(dtype="float32")))
    await backend.start()

    class Model:
        async def next_token_logprobs(self, candidates, *, messages=None, prompt=None):
            asked = NextToken(tuple(candidates), None if messages is None else tuple(messages), prompt)
            return (await backend.answer(asked)).logprobs

    try:
        yield FakeContext(17, Model())
    finally:
        await backend.close()


def scores(name, folder, rows, *, crowd):
    """The scores of rows that are asked for all at once, or one after the other."""
    op = SCORERS[name]

    async def ask():
        async with model(folder) as ctx:
            calls = [op.fn(row, op.params(), ctx) for row in rows]
            found = await asyncio.gather(*calls) if crowd else [await call for call in calls]
        return [row[name] for row in found]

    return asyncio.run(ask())


@pytest.mark.parametrize("name", SCORERS)
def test_a_score_does_not_depend_on_the_batch(checkpoint, name):
    rows = talks(40, seed=1)
    alone = scores(name, checkpoint, rows, crowd=False)
    assert scores(name, checkpoint, rows, crowd=True) == pytest.approx(alone, abs=1e-4)
    some = random.Random(2).sample(range(40), 11)
    among = scores(name, checkpoint, [rows[i] for i in some], crowd=True)
    assert among == pytest.approx([alone[i] for i in some], abs=1e-4)
    assert len({round(score, 3) for score in alone}) > 20, "scores that are all alike would show nothing"


def test_a_score_is_that_of_the_next_token_by_hand(checkpoint):
    rows = talks(8, seed=3)
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    network = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    digits = [tokenizer(digit)["input_ids"][0] for digit in DIGITS]
    expected = []
    for row in rows:
        ids = tokenizer(COMPLEXITY.format(instruction=row["prompt"]), return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            logits = network(ids).logits[0, -1, digits]
        expected.append(sum(k * float(p) for k, p in enumerate(logits.softmax(-1), 1)))
    assert scores("complexity", checkpoint, rows, crowd=True) == pytest.approx(expected, abs=1e-4)


def test_the_window_of_a_model_is_not_stretched_by_padding(tmp_path):
    """A window of 24 positions: behind padding in the middle of a row, tokens would see less of what came before."""
    folder = build_tiny_model(tmp_path, architecture="MistralForCausalLM")
    config = transformers.AutoConfig.from_pretrained(folder)
    config.sliding_window = 24
    config.save_pretrained(folder)
    rows = talks(24, seed=4, most=12)
    alone = scores("quality", folder, rows, crowd=False)
    assert scores("quality", folder, rows, crowd=True) == pytest.approx(alone, abs=1e-4)


def test_a_thousand_rows_compute_no_logits_beyond_the_last_position(llama):
    from engine.models import _torch

    worker = _torch.load(llama, "m", TransformersParams(dtype="float32"), Sampling())
    shapes = []
    head = worker.model.get_output_embeddings()
    head.register_forward_hook(lambda _, inputs, output: shapes.append((inputs[0].shape[:2], output.shape)))
    prompts = [COMPLEXITY.format(instruction=row["prompt"]) for row in talks(1000, seed=5, most=12)]
    widths: dict[int, list] = {}
    for item in (worker.prepare(NextToken(DIGITS, prompt=prompt)) for prompt in prompts):
        widths.setdefault(item.width, []).append(item)
    assert sum(len(worker.run(items)) for items in widths.values()) == 1000
    assert {positions for (_, positions), _ in shapes} == {1, GRAIN}, "of beginnings, and of rows"
    assert sum(rows for (rows, positions), _ in shapes if positions == GRAIN) == 1000, "each row once"


def test_what_prompts_begin_with_is_run_once(llama):
    from engine.models import _torch

    worker = _torch.load(llama, "m", TransformersParams(dtype="float32"), Sampling())
    seen = []
    worker.model.get_input_embeddings().register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numel()))
    prompts = [COMPLEXITY.format(instruction=text) for text in ("red", "sea", "sky", "sun")]
    items = [worker.prepare(NextToken(DIGITS, prompt=prompt)) for prompt in prompts]
    assert len({item.width for item in items}) == 1
    answers = worker.run(items)
    asked = 1  # a token that tells what kind of cache the model has
    assert sum(seen) == asked + 64 + 4 * (items[0].width - 64), "64 tokens of what they begin with once"
    assert [a.tokens_in for a in answers] == [len(item.ids) for item in items]
