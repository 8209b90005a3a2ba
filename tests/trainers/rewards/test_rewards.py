"""Rewards: rules, a real classifier, and programs that answer late, wrongly, or not at all."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tiny_model import build_tiny_model

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.errors import HandoffError  # noqa: E402
from trainers.rewards import Answers, RewardError, Rewards  # noqa: E402
from trainers.rewards.command import Command  # noqa: E402

TALK = [{"role": "user", "content": "Name a colour."}]


def answers(*responses, prompts=None):
    ids = [f"r{i}" for i in range(len(responses))]
    tokens = np.array([2 * len(text.split()) for text in responses])
    return Answers(ids, prompts or ["say: "] * len(responses), responses, tokens)


def program(body):
    """A reward command with this body for each request `asked`; `say` answers."""
    head = "import json, sys\nsay = lambda **said: print(json.dumps(said), flush=True)\n"
    return [sys.executable, "-c", f"{head}for line in sys.stdin:\n    asked = json.loads(line)\n    {body}"]


@pytest.fixture
def command():
    """Makes reward commands, which end with the test."""
    made = []

    def make(body, **options):
        made.append(Command(["good"], program(body), **options))
        return made[-1]

    yield make
    for reward in made:
        reward.close()


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("tokens", [0.5, 0.8, 1.5]), ("characters", [0.5, 1.5, 1.5]), ("words", [0.5, 0.5, 1.5])],
)
def test_length_is_scaled_and_clipped(unit, expected):
    rule = {"use": "length", "name": "l", "unit": unit, "scale": 5, "low": 0.5, "high": 1.5}
    found = Rewards([rule])(answers("a", "two words", "x " * 300))
    assert found[:, 0].tolist() == expected


def test_paper_s_length_reward():
    rule = {"use": "length", "name": "l", "scale": 140, "low": 70 / 140, "high": 210 / 140}
    lengths = np.array([1, 70, 140, 209, 500])
    found = Rewards([rule])(Answers(["r"] * 5, [""] * 5, [""] * 5, lengths))
    assert found[:, 0].tolist() == pytest.approx([0.5, 0.5, 1.0, 209 / 140, 1.5])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    return build_tiny_model(folder, architecture="LlamaForSequenceClassification")


@pytest.mark.parametrize("reads", ["response", "prompt_and_response"])
def test_classifier_gives_each_text_its_own_logit(classifier, reads):
    reward = Rewards([{"use": "model", "name": "m", "model": str(classifier), "reads": reads, "batch_size": 2}])
    given = answers("red", "blue and yellow and red", "the sea", prompts=[TALK, "say: ", TALK])
    found = reward(given)[:, 0]
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    for number, (prompt, response) in enumerate(zip(given.prompts, given.responses, strict=True)):
        text = prompt + response if isinstance(prompt, str) else None
        if text is None:
            turns = [*prompt, {"role": "assistant", "content": response}]
            text = tokenizer.apply_chat_template(turns, tokenize=False)
        text = response if reads == "response" else text
        with torch.no_grad():
            alone = model(**tokenizer(text, return_tensors="pt")).logits[0, 0].item()
        assert found[number] == pytest.approx(alone, abs=1e-5)


def test_a_program_answers_in_any_order_and_sees_prompts_as_they_are(command):
    reward = command(
        "held = globals().setdefault('held', []); held.append(asked)\n"
        "    if len(held) == 3:\n"
        "        for one in reversed(held):\n"
        "            say(id=one['id'], rewards={'good': len(one['response']) + len(one['prompt'])})"
    )
    assert reward(answers("a", "bb", "ccc", prompts=[TALK, "12", "345"]))[:, 0].tolist() == [2.0, 4.0, 6.0]


def test_a_program_goes_on_from_step_to_step(command):
    reward = command("n = globals()['n'] = globals().get('n', 0) + 1; say(id=asked['id'], rewards={'good': n})")
    assert reward(answers("a", "b"))[:, 0].tolist() == [1.0, 2.0]
    assert reward(answers("a", "b"))[:, 0].tolist() == [3.0, 4.0]


def test_more_is_asked_and_answered_than_pipes_hold(command):
    reward = command("say(id=asked['id'], rewards={'good': 1}, note='x' * 2000)")
    assert reward(answers(*["y" * 2000] * 300)).sum() == 300


def test_no_number_is_nan(command):
    reward = command(
        "say(id=asked['id'], rewards=[{'good': None}, {}, {'good': float('nan')}][int(asked['response'])])"
    )
    assert np.isnan(reward(answers("0", "1", "2"))[:, 0]).all()


def test_infinite_is_no_number(command):
    records = [{"use": "command", "names": ["x"], "command": program("say(id=asked['id'], rewards={'x': 1e999})")}]
    rewards = Rewards(records)
    assert np.isnan(rewards(answers("a"))).all()
    rewards.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(3)", "ended with 3, and 2 answers are due"),
        ("print('good: 1', flush=True)", "says 'good: 1', which isn't an answer"),
        ("say(id=asked['id'], rewards={'good': 'much'})", "which isn't an answer"),
        ("say(id=asked['id'], rewards={'good': True})", "which isn't an answer"),
        ("say(id='r7', rewards={'good': 1})", "answers for 'r7', which isn't due"),
        ("say(id='r0', rewards={'good': 1})", "answers for 'r0', which isn't due"),
        ("pass", "is silent for 0.3 s, and 2 answers are due"),
    ],
)
def test_a_program_that_fails_is_named(command, body, said):
    reward = command(body, timeout_s=0.3 if body == "pass" else 20)
    with pytest.raises(RewardError, match="the reward command") as refusal:
        reward(answers("a", "b"))
    assert said in str(refusal.value)


def test_a_program_that_is_not_there():
    with pytest.raises(RewardError, match="can't be started"):
        Command(["good"], ["/does/not/exist"])(answers("a"))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"use": "wish", "name": "x"}, "params.rewards[1].use is 'wish': it must be length or model or command"),
        ({"use": "length", "name": "x", "scale": 1}, "params.rewards[1]: use: length missing 2 required"),
        (
            {"use": "length", "name": "x", "scale": 1, "low": 0, "high": 2, "top": 3},
            "unexpected keyword argument 'top'",
        ),
        ({"use": "length", "name": "x", "scale": 0, "low": 0, "high": 2}, "scale is 0: it must be above 0"),
        ({"use": "length", "name": "x", "scale": 1, "low": 2, "high": 2}, "low is 2: it must be below high, 2"),
        (
            {"use": "length", "name": "x", "scale": 1, "low": 0, "high": 2, "unit": "m"},
            "unit is 'm': it must be tokens",
        ),
        ({"use": "model", "name": "x", "model": "m", "output": "loud"}, "output is 'loud': it must be logit"),
        ({"use": "command", "names": ["x"], "command": "run"}, "names and command must be lists of texts"),
        ({"use": "length", "name": "first", "scale": 1, "low": 0, "high": 2}, "more than one is called first"),
    ],
)
def test_what_is_no_reward_is_refused(record, said):
    with pytest.raises(HandoffError) as refusal:
        Rewards([{"use": "length", "name": "first", "scale": 1, "low": 0, "high": 1}, record])
    assert said in str(refusal.value)


def test_a_label_that_a_classifier_has_not(classifier):
    reward = Rewards([{"use": "model", "name": "m", "model": str(classifier), "index": 1}])
    with pytest.raises(HandoffError, match="has 1 labels, and none with index 1"):
        reward(answers("a"))
