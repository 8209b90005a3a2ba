"""The chunked loss against the plain one: value, gradients, memory."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from torch.nn.functional import cross_entropy  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from trainers.losses.linear import chunk_rows, linear_cross_entropy, token_nll  # noqa: E402


def parts(tokens=50, width=16, vocabulary=90, *, bias=True, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator)

    hidden, head = drawn(tokens, width).requires_grad_(), drawn(vocabulary, width).requires_grad_()
    targets = torch.randint(vocabulary, (tokens,), generator=generator)
    offsets = drawn(vocabulary).requires_grad_() if bias else None
    return hidden, head, offsets, targets, torch.rand(tokens, generator=generator)


def naive(hidden, head, bias, targets, weights):
    logits = torch.nn.functional.linear(hidden, head, bias)
    return (cross_entropy(logits.float(), targets, reduction="none") * weights).sum(), logits


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk", [None, 1, 7, 64])
def test_loss_and_all_gradients_equal_the_plain_loss(chunk, bias):
    given = parts(bias=bias)
    trained = [tensor for tensor in given[:3] if tensor is not None]
    expected, logits = naive(*given)
    loss, nll, hits = linear_cross_entropy(*given, chunk)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(nll, cross_entropy(logits, given[3], reduction="none").detach(), atol=1e-5, rtol=1e-5)
    assert hits.equal(logits.argmax(-1) == given[3])
    ours, theirs = (torch.autograd.grad(value * 3, trained) for value in (loss, expected))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk", [None, 1, 7, 64])
def test_each_nll_has_the_gradient_of_the_plain_one(chunk, bias):
    hidden, head, offsets, targets, weights = parts(bias=bias)
    trained = [tensor for tensor in (hidden, head, offsets) if tensor is not None]
    nll, hits = token_nll(hidden, head, offsets, targets, chunk)
    logits = torch.nn.functional.linear(hidden, head, offsets)
    plain = cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(nll, plain, atol=1e-5, rtol=1e-5)
    assert hits.equal(logits.argmax(-1) == targets)
    ours, theirs = (torch.autograd.grad((value.square() * weights).sum(), trained) for value in (nll, plain))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-5)


def test_in_bfloat16_it_stays_within_two_hundredths():
    given = parts(bias=False)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _, _ = linear_cross_entropy(*given, 16)
    expected, _ = naive(*given)
    torch.testing.assert_close(loss, expected, rtol=2e-2, atol=0)
    ours, theirs = (torch.autograd.grad(value, given[:2]) for value in (loss, expected))
    for our, their in zip(ours, theirs, strict=True):
        assert our.dtype == torch.float32
        assert (our - their).norm() < 2e-2 * their.norm()


def test_a_frozen_head_gets_no_gradient_and_no_memory_for_one():
    hidden, head, bias, targets, weights = parts()
    loss, _, _ = linear_cross_entropy(hidden, head.detach(), bias.detach(), targets, weights)
    loss.backward()
    assert hidden.grad.abs().sum() > 0
    assert head.grad is None


def test_without_targets_loss_and_gradients_are_zero():
    hidden, head, bias, targets, weights = parts(tokens=0)
    loss, _, _ = linear_cross_entropy(hidden, head, bias, targets, weights)
    loss.backward()
    assert loss == 0
    assert head.grad.abs().sum() == 0


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = [tensor.numel() for tensor in torch.utils._pytree.tree_leaves(out) if isinstance(tensor, torch.Tensor)]
        self.elements = max([self.elements, *made])
        return out


def test_full_logits_never_exist():
    given = parts(tokens=1024, width=32, vocabulary=2048, bias=False)
    with Largest() as ours:
        linear_cross_entropy(*given)[0].backward()
    with Largest() as each:
        token_nll(*given[:4])[0].square().sum().backward()
    with Largest() as plain:
        naive(*given)[0].backward()
    assert plain.elements == 1024 * 2048
    assert ours.elements == each.elements == max(2048 * 32, chunk_rows(1024, 2048, 32) * 2048)
    assert ours.elements * 16 <= plain.elements


def test_a_row_of_28_672_tokens_takes_less_memory_than_its_logits():
    given = parts(tokens=28_672, width=32, vocabulary=2048, bias=False)
    with Largest() as ours:
        linear_cross_entropy(*given)[0].backward()
    assert ours.elements == chunk_rows(28_672, 2048, 32) * 2048
    assert ours.elements * 50 <= 28_672 * 2048


@pytest.mark.parametrize(
    ("tokens", "vocabulary", "width", "rows"),
    [(4096, 32000, 4096, 512), (4096, 128256, 4096, 128), (100, 50, 64, 128), (1, 32000, 64, 1)],
)
def test_rows_of_a_chunk_follow_the_rule_of_liger(tokens, vocabulary, width, rows):
    assert chunk_rows(tokens, vocabulary, width) == rows
