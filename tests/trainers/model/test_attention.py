"""Rows of a pack must not see each other, in any attention and any architecture that is let through."""

from __future__ import annotations

import pytest
from tuning import random_rows

torch = pytest.importorskip("torch", reason="needs the extra `train`")

import transformers  # noqa: E402

from trainers.config import SftConfig  # noqa: E402
from trainers.data.folder import Base  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.errors import HandoffError  # noqa: E402
from trainers.model.attention import BY_ROW, implementation, layout  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.sft import NextToken  # noqa: E402

CPU = torch.device("cpu")
SHAPE = {
    "vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "initializer_range": 0.2,
}  # fmt: skip


def base_of(folder, kind, **extra):
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**SHAPE, **extra})
    getattr(transformers, f"{kind}ForCausalLM")(config).save_pretrained(folder)
    return Base(str(folder))


def policy_of(base, **params):
    return build_policy(base, SftConfig(**params), CPU, 400)


def nll_by_row(policy, plan):
    """The NLL of each target of each row in the window, row after row."""
    window, found, objective = plan.window(0), {}, NextToken(plan, "token_mean")
    for batch in plan.batches(window, objective.weights(window)):
        scored = policy(batch, objective)
        for owner, row in enumerate(batch.rows.tolist()):
            found[row] = scored.nll[batch.owners == owner]
    return torch.cat([found[row] for row in sorted(found)])


@pytest.mark.parametrize(
    ("kind", "extra", "attention"),
    [
        ("Llama", {}, BY_ROW),
        ("Qwen2", {}, BY_ROW),
        ("Qwen3", {}, BY_ROW),
        ("Mistral", {"sliding_window": 8}, "sdpa"),
        ("Gemma", {}, BY_ROW),
    ],
)
def test_packed_equals_unpacked(tmp_path, kind, extra, attention):
    base, tokens = base_of(tmp_path, kind, **extra), random_rows(40, 30)
    policy = policy_of(base)
    assert policy.attention == attention
    packed, alone = (
        Plan(tokens, SftConfig(packing=packing, max_length=64, batch_size=64, micro_batch_size=size), 1)
        for packing, size in ((True, 8), (False, 1))
    )
    assert packed.packs < alone.packs
    torch.testing.assert_close(nll_by_row(policy, packed), nll_by_row(policy, alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", [BY_ROW, "sdpa"])
def test_a_changed_row_leaves_the_others_as_they_were(tmp_path, attention):
    policy = policy_of(base_of(tmp_path, "Llama"))
    policy.causal.set_attn_implementation(attention)
    policy.attention = attention
    ids = torch.arange(20, 50)[None]
    positions = torch.cat([torch.arange(9), torch.arange(12), torch.arange(9)])[None]
    before = policy.head(policy.hidden(ids, positions))
    changed = ids.clone()
    changed[0, 9:21] += 100
    after = policy.head(policy.hidden(changed, positions))
    kept = torch.ones(30, dtype=torch.bool)
    kept[9:21] = False
    torch.testing.assert_close(before[0, kept], after[0, kept], atol=1e-5, rtol=0)
    assert (before[0, ~kept] - after[0, ~kept]).abs().amax(-1).min() > 0.01


def test_gradients_row_by_row_equal_those_under_a_mask(tmp_path):
    policy = policy_of(base_of(tmp_path, "Llama"))
    plan = Plan(random_rows(60, 50), SftConfig(max_length=96, batch_size=8, micro_batch_size=8), 1)
    objective, window = NextToken(plan, "token_mean"), plan.window(0)
    (batch,) = plan.batches(window, objective.weights(window))
    found = []
    for attention in (BY_ROW, "sdpa"):
        policy.causal.set_attn_implementation(attention)
        policy.attention = attention
        policy.zero_grad()
        policy(batch, objective).loss.backward()
        found.append({name: parameter.grad.clone() for name, parameter in policy.named_parameters()})
    assert found[0].keys() == found[1].keys()
    for name, grad in found[0].items():
        torch.testing.assert_close(grad, found[1][name], atol=1e-5, rtol=1e-4, msg=name)


def test_layout_by_hand():
    # rows of 3, 40, 2 and one of 5 in a second pack of the same width
    lengths = ([3, 40, 2], [5, 40])
    positions = torch.stack([torch.cat([torch.arange(n) for n in pack]) for pack in lengths])
    rows = layout(positions)
    assert rows.blocks == ((3, 5), (2, 40))
    assert rows.slot_of[:3].tolist() == [0, 1, 2]
    assert rows.slot_of[43:45].tolist() == [5, 6]
    assert rows.slot_of[3] == 15
    assert rows.slot_of[45:50].tolist() == [10, 11, 12, 13, 14]
    assert rows.padded[:15].tolist() == [False] * 3 + [True] * 2 + [False] * 2 + [True] * 3 + [False] * 5
    assert rows.token_of[rows.slot_of].tolist() == list(range(90))


def test_models_that_would_be_trained_wrongly_are_refused(tmp_path):
    capped = base_of(tmp_path / "capped", "Gemma2", final_logit_softcapping=0.5, attn_implementation="sdpa")
    with pytest.raises(HandoffError, match="caps or scales its logits"):
        policy_of(capped)
    scaled = base_of(tmp_path / "scaled", "Granite", logits_scaling=8.0)
    with pytest.raises(HandoffError, match="caps or scales its logits"):
        policy_of(scaled)


def test_a_sliding_window_asks_for_a_mask():
    assert implementation(CPU, transformers.LlamaConfig()) == BY_ROW
    assert implementation(CPU, transformers.MistralConfig(sliding_window=4096)) == "sdpa"


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path):
    with pytest.raises(HandoffError, match="has 500 tokens and the model embeddings for 400"):
        build_policy(base_of(tmp_path, "Llama"), SftConfig(), CPU, 500)
