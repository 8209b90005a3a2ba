"""`score: loglikelihood`: against a plain forward pass over the very tokens that the trainers score."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from backend_life import run
from handoff_folders import tokenizer_of, write
from operators.direct import Direct, answers, scripted
from operators.fakes import FakeContext
from project import Project
from tiny_backend import make
from tiny_model import build_tiny_model

from engine.errors import ModelError, RowError
from engine.registry import operator
from engine.request import ReplyLogLikelihood

torch = pytest.importorskip("torch", reason="needs the extra `train`")
transformers = pytest.importorskip("transformers", reason="needs the extra `train`")

SCORE = operator("score", "loglikelihood")
FAMILIES = ("llama3", "chatml", "marked", "mistral", "gemma")
ASKED = {"role": "user", "content": "Name three colours."}
PAIR = {"prompt": [ASKED], "chosen": [{"role": "assistant", "content": "Red, blue and yellow."}],
        "rejected": [{"role": "assistant", "content": "No. "}]}  # fmt: skip


def scored(folder: Path, form: str, *table):
    """What the operator makes of rows, or the errors, with a real backend."""

    async def work(backend):
        context, params = FakeContext(17, Direct(backend)), SCORE.params(rows=form)
        calls = [SCORE.fn({"row_id": "r", **row}, params, context) for row in table]
        return await asyncio.gather(*calls, return_exceptions=True)

    return run(make(folder, dtype="float32"), work)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory) -> Path:
    """A tiny model under a family's template."""
    folder = build_tiny_model(tmp_path_factory.mktemp("family") / request.param)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)
    tokenizer_of(request.param).save_pretrained(folder)
    return folder


def trained_on(folder: Path, talk) -> tuple[list[int], list[bool]]:
    """Ids and mask of a conversation as the trainer of sft has them."""
    from trainers.config import SftConfig
    from trainers.data.folder import open_handoff
    from trainers.data.tokens import tokenise

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    given = open_handoff(write(folder / f"as-{len(talk[-1]['content'])}", {"messages": [talk]}, tokenizer))
    tokens, _ = tokenise(given, tokenizer, SftConfig())
    return tokens.ids.tolist(), tokens.mask.tolist()


def by_hand(folder: Path, talk) -> tuple[float, int]:
    """The sum of log-probabilities of the trainer's targets by a plain forward pass, and how many there are."""
    ids, mask = trained_on(folder, talk)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).requires_grad_(False)
    logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    at = [i for i, target in enumerate(mask) if target]
    return sum(float(logprobs[i - 1, ids[i]]) for i in at), len(at)


def test_pairs_are_scored_on_the_tokens_of_the_trainers(family):
    (found,) = scored(family, "preference", PAIR)
    assert found.keys() == {"ref_chosen_logp", "ref_rejected_logp", "ref_chosen_tokens", "ref_rejected_tokens"}
    for side in ("chosen", "rejected"):
        value, count = by_hand(family, PAIR["prompt"] + PAIR[side])
        assert found[f"ref_{side}_tokens"] == count
        assert found[f"ref_{side}_logp"] == pytest.approx(value, abs=1e-4)


def test_the_last_turn_alone_is_scored(tiny_model):
    talk = [
        *PAIR["prompt"],
        *PAIR["chosen"],
        {"role": "user", "content": "And 7 + 8?", "name": None},
        *PAIR["rejected"],
    ]
    (found,) = scored(tiny_model, "conversation", {"messages": talk})
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model)
    ids = tokenizer(tokenizer.apply_chat_template(talk, tokenize=False))["input_ids"]
    count = len(tokenizer("No. <|end|>")["input_ids"])
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model).requires_grad_(False)
    logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    value = sum(float(logprobs[i - 1, ids[i]]) for i in range(len(ids) - count, len(ids)))
    assert found["logp"] == pytest.approx(value, abs=1e-4)
    assert (found["n_logp_tokens"], found["logp_mean"]) == (count, pytest.approx(value / count, abs=1e-4))


def test_texts_are_one_turn_each(tiny_model):
    plain = {"prompt": ASKED["content"], "completion": "No. "}
    turns = {"prompt": [ASKED], "completion": PAIR["rejected"]}
    pair = {"prompt": ASKED["content"], "chosen": "Red, blue and yellow.", "rejected": PAIR["rejected"]}
    one, other = scored(tiny_model, "binary", plain, turns)
    (both,) = scored(tiny_model, "preference", pair)
    assert one == other
    assert one["ref_logp"] == pytest.approx(both["ref_rejected_logp"], abs=1e-4)
    assert one["ref_tokens"] == both["ref_rejected_tokens"]


def test_of_an_answer_of_several_turns_the_assistants_are_summed(tiny_model):
    more = [*PAIR["chosen"], {"role": "user", "content": "And 7 + 8?"}, *PAIR["rejected"]]
    talks = [[ASKED, *more[:1]], [ASKED, *more]]
    first, last = scored(tiny_model, "conversation", *({"messages": talk} for talk in talks))
    (both,) = scored(tiny_model, "binary", {"prompt": [ASKED], "completion": more})
    assert both["ref_logp"] == pytest.approx(first["logp"] + last["logp"], abs=1e-4)
    assert both["ref_tokens"] == first["n_logp_tokens"] + last["n_logp_tokens"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (PAIR | {"rejected": [{"role": "assistant", "content": ""}]}, "rejected: the answer is empty"),
        (PAIR | {"rejected": [{"role": "assistant", "content": None}]}, "rejected: the answer is empty"),
        (PAIR | {"rejected": " \n"}, "rejected: the answer is empty"),
        (PAIR | {"chosen": None}, "chosen: there is no answer"),
        (PAIR | {"prompt": None}, "prompt: it is null"),
        (PAIR | {"prompt": [{"role": None, "content": "a"}]}, "refuses a conversation of None"),
        (PAIR | {"chosen": [{"role": None, "content": "a"}]}, "chosen: there is no answer"),
        (PAIR | {"chosen": [ASKED]}, "chosen: there is no answer"),
        (PAIR | {"prompt": "sea " * 600}, "tokens and the model takes 513"),
    ],
)
def test_what_can_not_be_scored_is_told(tiny_model, row, said):
    (error,) = scored(tiny_model, "preference", row)
    assert isinstance(error, RowError)
    assert said in str(error)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}{{ loop.length }}{{ m['content'] }}{% endfor %}", "writes a prompt in another way"),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "the prompt has other tokens"),
        ("{% if messages|length > 1 %}{{ raise_exception('too long') }}{% endif %}", "user, assistant: too long"),
        (
            "{% for m in messages %}{% if 0 %}{% generation %}{% endgeneration %}{% endif %}{% endfor %}",
            "marks no part",
        ),
    ],
)
def test_a_template_that_does_not_keep_the_prompt_is_told(tiny_model, template, said):
    talk = ({"role": "user", "content": "What is th"}, {"role": "assistant", "content": "e sea"})
    with pytest.raises(ModelError, match=said) as refusal:
        run(make(tiny_model, chat_template=template), lambda backend: backend.answer(ReplyLogLikelihood(talk)))
    assert refusal.value.refused


def test_the_first_token_of_a_text_is_predicted_by_nothing(tiny_model):
    talk = ({"role": "assistant", "content": "The sea is wide"},)
    bare = make(tiny_model, dtype="float32", chat_template="{{ messages[0]['content'] if messages else '' }}")
    answer = run(bare, lambda backend: backend.answer(ReplyLogLikelihood(talk)))
    ids = transformers.AutoTokenizer.from_pretrained(tiny_model)("The sea is wide")["input_ids"]
    assert (answer.tokens_in, answer.tokens_out) == (1, len(ids) - 1)


def test_the_script_has_a_likelihood_for_every_reply():
    model = scripted([{"match": r"\ANo\. \Z", "value": -2.5}])
    found = answers(SCORE, model, PAIR, rows="preference")
    assert (found["ref_rejected_logp"], found["ref_rejected_tokens"]) == (-2.5, 2)
    assert found["ref_chosen_logp"] < 0
    assert found["ref_chosen_tokens"] == 5


SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
tables:
  pairs:
    source: data.jsonl
    scores:
      - {score: loglikelihood, model: tiny, params: {rows: preference}}
"""


def test_rows_that_can_not_be_scored_are_null_with_their_reason_and_cost_the_others_nothing(tmp_path, tiny_model):
    (tmp_path / "tiny").symlink_to(tiny_model)
    rows = [{"prompt": "What is 7 + 8?", "chosen": "It is 15.", "rejected": f"It is {i}."} for i in range(4)]
    rows += [
        {"prompt": "Why?", "chosen": "So.", "rejected": ""},
        {"prompt": "a " * 900, "chosen": "b", "rejected": "c"},
    ]
    project = Project(tmp_path).spec(SPEC).data(rows)
    report = project.build()
    assert report.exit_code == 0
    assert project.sql("SELECT count(*), count(ref_chosen_logp), count(ref_rejected_tokens) FROM pairs") == [(6, 4, 4)]
    reasons = [reason for (reason,) in project.sql("SELECT error FROM errors WHERE NOT transient ORDER BY error")]
    assert len(reasons) == 2
    assert reasons[0] == "rejected: the answer is empty"
    assert "the model takes 513" in reasons[1]
    assert project.calls() == 5, "four answers to be rejected and one chosen that they share"
    assert set(project.states().values()) == {"cached"}
