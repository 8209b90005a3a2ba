import pytest

from engine.operators.generators._magpie_sanitize import Rule, sanitize


@pytest.mark.parametrize(
    ("raw", "clean", "rule"),
    [
        ("What is tea?", "What is tea?", None),
        ("Name three teas.", "Name three teas.", None),
        ("1. Name three teas.", "Name three teas.", Rule.PREFIX),
        ("Task: Name three teas.", "Name three teas.", Rule.PREFIX),
        ("**Question 2:** What is tea?", "What is tea?", Rule.PREFIX),
        ("## Problem\nWhat is tea?", "What is tea?", Rule.PREFIX),
        ("**Problem**\nName teas.", "Name teas.", Rule.PREFIX),
        ("Q1: 1. What is tea?", "What is tea?", Rule.PREFIX),
        ("2 plus 2 is what?", "2 plus 2 is what?", None),
        ("Tasks are hard. Why?", "Tasks are hard. Why?", None),
        ('"What is tea?" asked Ann. "Well,', '"What is tea?', Rule.QUOTED),
        ("*What is tea? It is", "*What is tea?", Rule.QUOTED),
        ("What is tea\nAnswer: a drink", "What is tea", Rule.ANSWER),
        ("Make tea.\n\n**Solution:**\nBoil.", "Make tea.", Rule.ANSWER),
        ("Make tea.\n## Step 1: boil", "Make tea.", Rule.STEP),
        ("Look at this:\nfoo\n# Heading\nbar?", "Look at this:\nfoo", Rule.HEADING),
        ("Tell me:\nwhat is tea? A drink.", "Tell me:\nwhat is tea?", Rule.QUESTION_AFTER_COLON),
        ("Sort these:\na, b", "Sort these:", Rule.LINE_WITH_COLON),
        ("What is tea? It is a drink.", "What is tea?", Rule.QUESTION),
        ("Name teas.\nGreen, black.", "Name teas.", Rule.LINE),
        ("Question: What is tea? Question: What is milk?", "What is tea?", Rule.QUESTION),
        ("", "", None),
    ],
)
def test_rules(raw, clean, rule):
    assert sanitize(raw) == (clean, rule)
