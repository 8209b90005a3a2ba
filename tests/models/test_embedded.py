import pytest
from project import Project
from tiny_model import build_tiny_model

from engine.errors import SetwrightError, SpecError
from engine.model import ModelConfig
from engine.models import embedded
from engine.registry import backend

SPEC = """
models:
  small: {use: embedded, params: {max_tokens: 6}}
tables:
  pool: {generate: magpie, model: small, params: {rows: 4, max_tokens: 6}}
"""


def config(**params):
    return ModelConfig("small", params=embedded.EmbeddedParams(**params))


@pytest.fixture
def weights(tmp_path, monkeypatch):
    build_tiny_model(tmp_path / "weights")
    monkeypatch.setattr(embedded, "WEIGHTS", tmp_path / "weights")
    return tmp_path / "weights"


def test_is_the_transformers_backend_over_the_folder(weights):
    model = backend("embedded")(config(temperature=0.5))
    same = backend("transformers")(
        ModelConfig(
            "other",
            model=str(weights),
            params=backend("transformers").Params(temperature=0.5, dtype="float32"),
        )
    )
    assert model.identity() == same.identity()
    assert model.weights() == same.weights()
    assert model.offers == same.offers
    assert model.embedding_dim() == 64


def test_builds_a_table(weights, tmp_path):
    project = Project(tmp_path).spec(SPEC)
    assert project.build().exit_code == 0
    assert project.sql("SELECT count(*) FROM pool") == [(4,)]


def test_takes_no_model(tmp_path):
    project = Project(tmp_path).spec(SPEC.replace("{use: embedded", "{use: embedded, model: x"))
    with pytest.raises(SpecError, match="use: embedded takes no model"):
        project.build()


def test_a_copy_without_weights_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "WEIGHTS", tmp_path / "nowhere")
    model = backend("embedded")(config())
    with pytest.raises(SetwrightError, match="are not in this copy") as raised:
        model.identity()
    assert "make embedded" in raised.value.cure
