import asyncio
import hashlib
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.fingerprint import fingerprint
from engine.model import ModelConfig
from engine.models import hashing
from engine.models.hashing import Hashing, HashingParams, hash_texts
from engine.request import Capability

ALPACA = Path(__file__).parents[2] / "../shared/data/instructions/alpaca_52k.parquet"
M64 = 2**64


def mix(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % M64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % M64
    return x ^ (x >> 31)


def reference(text, dim, ngrams):
    """The features and their hashes one by one in Python's integers."""
    raw = bytes(b + 32 if 65 <= b <= 90 else 32 if 9 <= b <= 13 else b for b in text.encode())
    words = bytes(b if b >= 128 or chr(b).isalnum() else 0 for b in raw).split(b"\0")
    base = 0x9E3779B97F4A7C15
    families = [[mix(sum((b + 1) * pow(base, i, M64) for i, b in enumerate(word)) % M64) for word in words if word]]
    for n in ngrams:
        grams = [raw[i : i + n] for i in range(len(raw) - n + 1)]
        families.append([mix(int.from_bytes(b"\0" * (8 - n) + gram, "little") ^ (n * base % M64)) for gram in grams])
    vector = np.zeros(dim)
    for hashes in families:
        counts = np.zeros(dim)
        for h in hashes:
            bucket = (h >> 32) % (2 * dim)
            counts[bucket % dim] += 1 if bucket < dim else -1
        vector += np.sign(counts) * np.sqrt(np.abs(counts) / max(1, np.abs(counts).sum()))
    return vector


def unit(texts, dim=256, ngrams=(5,)):
    vectors = hash_texts(texts, dim, ngrams)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.lists(st.text(max_size=40), max_size=6), st.lists(st.integers(1, 8), max_size=2))
def test_equals_the_features_counted_one_by_one(texts, ngrams):
    expected = [reference(text, 16, ngrams) for text in texts]
    assert hash_texts(texts, 16, ngrams) == pytest.approx(np.array(expected).reshape(len(texts), 16), abs=1e-6)


def test_the_bits_never_change():
    """If this fails, vectors in users' stores no longer match new ones: raise VERSION."""
    texts = ["The quick brown fox", "jumps over the LAZY dog.", "", "\u4f60\u597d\uff0c\u4e16\u754c", "a" * 3000]
    assert hashlib.sha256(hash_texts(texts, 64, [3, 5]).tobytes()).hexdigest()[:16] == "511a01dfb3ffc9b0"
    assert hashing.VERSION == 1


def test_blocks_do_not_show(monkeypatch):
    rng = random.Random(1)
    texts = ["".join(rng.choices("ab \u00e9", k=rng.choice([0, 1, 5, 60]))) for _ in range(200)]
    whole = hash_texts(texts, 32, [1, 4])
    monkeypatch.setattr(hashing, "BLOCK_BYTES", 64)
    assert np.array_equal(hash_texts(texts, 32, [1, 4]), whole)
    monkeypatch.setattr(hashing, "BLOCK_COUNTS", 64 * 3)
    assert np.array_equal(hash_texts(texts, 32, [1, 4]), whole)
    assert np.array_equal(hash_texts(texts[::-1], 32, [1, 4])[::-1], whole)


def test_near_duplicates_are_near_and_strangers_far():
    base = (
        "Explain how photosynthesis works in plants, which molecules take part in it, and why the colour of a leaf "
        "changes in autumn when the days get shorter and the tree draws its chlorophyll back."
    )
    edits = [
        base.upper(),
        base.replace(",", "").replace(".", "!"),
        base.replace("in plants", "in green plants"),
        "\n".join(base.split(" ", 1)),
    ]
    strangers = [
        "Write a short story about a sailor who finds a map in an old bottle and sets out to look for the treasure.",
        "def add(a, b):\n    return a + b",
        "Quelle est la capitale de la France et combien d'habitants compte cette ville ?",
    ]
    cosines = unit([base, *edits, *strangers]) @ unit([base])[0]
    assert cosines[0] == pytest.approx(1)
    assert (cosines[1 : 1 + len(edits)] > 0.9).all(), cosines
    assert (cosines[1 + len(edits) :] < 0.5).all(), cosines


@pytest.mark.skipif(not ALPACA.exists(), reason="the shared data is not here")
def test_on_real_instructions():
    rng = random.Random(5)
    rows = rng.sample(pq.read_table(ALPACA, columns=["instruction", "output"]).to_pylist(), 2000)
    texts = [f"{row['instruction']}\n{row['output']}" for row in rows if len(row["output"].split()) > 30]
    edited = []
    for text in texts:
        words = text.split(" ")
        for _ in range(len(words) // 33):
            words[rng.randrange(len(words))] = rng.choice(words)
        edited.append(" ".join(words))
    vectors = unit(texts)
    near = (vectors * unit(edited)).sum(axis=1)
    far = (vectors @ vectors.T)[np.triu_indices(len(texts), 1)]
    assert np.quantile(near, 0.02) > 0.9
    assert np.quantile(far, 0.999) < 0.5


def test_texts_without_features_are_zero():
    vectors = hash_texts(["", "?", "word"], 64, [5])
    assert (np.abs(vectors).sum(axis=1) > 0).tolist() == [False, False, True]
    assert hash_texts([], 64, [5]).shape == (0, 64)


def test_the_backend():
    model = Hashing(ModelConfig("m", params=HashingParams(dim=32, ngrams=[4])))
    vectors = asyncio.run(model.embed(["a b c", "x"]))
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, hash_texts(["a b c", "x"], 32, [4]))
    assert model.embedding_dim() == 32
    assert model.offers == {Capability.EMBED}
    assert not model.recorded


def test_every_parameter_is_part_of_the_identity():
    identities = [
        Hashing(ModelConfig("m", params=HashingParams(**p))).identity() for p in ({}, {"dim": 8}, {"ngrams": [3]})
    ]
    assert len({fingerprint(identity) for identity in identities}) == 3
    assert Hashing(ModelConfig("another name")).identity() == identities[0]


@pytest.mark.parametrize("params", [{"dim": 0}, {"ngrams": [0]}, {"ngrams": [9]}, {"size": 3}])
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        HashingParams(**params)
