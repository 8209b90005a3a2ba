"""The JSON Schema that is shipped is the one that the code makes, and every shipped spec obeys it."""

import json
from pathlib import Path

import jsonschema
import pytest

from engine.spec.document import Document
from engine.spec.json_schema import json_schema

SPECS = Path(__file__).parents[2] / "specs"
PUBLISHED = SPECS / "setwright.schema.json"


def test_it_is_up_to_date():
    assert json.loads(PUBLISHED.read_text()) == json.loads(json.dumps(json_schema())), "run `make schema`"


@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_spec_obeys_it(path):
    jsonschema.validate(Document.read(path).data, json.loads(PUBLISHED.read_text()))
