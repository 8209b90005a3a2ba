"""dbt's selection language on a small graph.

pool -> scored -> picked -> final
raw  -> mixed (reads scored, too) -> final
"""

import pytest

from engine.errors import SetwrightError
from engine.spec.selection import select

GRAPH = {
    "pool": [],
    "raw": [],
    "scored": ["pool"],
    "picked": ["scored"],
    "mixed": ["scored", "raw"],
    "final": ["picked", "mixed"],
    "drafts@2": ["final"],
}
TAGS = {"picked": frozenset({"nightly", "small"}), "mixed": frozenset({"nightly"})}


@pytest.mark.parametrize(
    ("expression", "nodes"),
    [
        ("scored", "scored"),
        ("+scored", "pool scored"),
        ("mixed+", "mixed final drafts@2"),
        ("+picked+", "pool scored picked final drafts@2"),
        ("1+final", "final picked mixed"),
        ("2+final", "final picked mixed scored raw"),
        ("pool+1", "pool scored"),
        ("1+scored+1", "pool scored picked mixed"),
        ("0+final", "final"),
        ("@picked", "picked final drafts@2 mixed scored raw pool"),
        ("drafts@2", "drafts@2"),
        ("tag:nightly", "picked mixed"),
        ("tag:nightly,tag:small", "picked"),
        ("+tag:small", "picked scored pool"),
        ("pool raw", "pool raw"),
        ("+picked,+mixed", "scored pool"),
        ("+picked,+mixed raw", "scored pool raw"),
        ("p*", "pool picked"),
        ("+*ed,tag:nightly", "picked mixed"),
        ("final+,drafts@2", "drafts@2"),
    ],
)
def test_selections(expression, nodes):
    assert select(expression, GRAPH, TAGS) == set(nodes.split())


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("scord", r"there is no node 'scord' \(did you mean 'scored'\?\)"),
        ("tag:nihgtly", r"no node has the tag 'nihgtly' \(did you mean 'nightly'\?\)"),
        ("x*", "no node matches 'x\\*'"),
        ("+", r"can't read '\+'"),
        ("pool,", "can't read ''"),
        ("@pool+", "can't read '@pool\\+'"),
        ("+@pool", "can't read"),
        ("  ", "the selection is empty"),
    ],
)
def test_what_names_nothing_is_an_error(expression, message):
    with pytest.raises(SetwrightError, match=message):
        select(expression, GRAPH, TAGS)


def test_a_selection_that_is_empty_by_intersection_is_no_error():
    assert select("pool,raw", GRAPH, TAGS) == set()
