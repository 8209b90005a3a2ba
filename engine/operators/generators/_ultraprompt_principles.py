"""The ten principles of UltraPrompt by category (Song et al., arXiv 2508.04626), the sentences in words of ours.

A sentence is what a rewriter is told to do; it completes "Improve the request in this way:". A spec replaces the whole
mapping by the parameter `principles`.
"""

from __future__ import annotations

from collections.abc import Mapping

GENERAL = "Helpfulness"
"""The category whose principles hold for every seed; those of a seed's own category come before them."""

PRINCIPLES: Mapping[str, Mapping[str, str]] = {
    "Harmlessness": {
        "Safe Intent Declaration": (
            "open it with a short preface that shows a concern for safety and asks for an answer within ethical bounds"
        ),
        "Boundary Enforcement": (
            "end it with an explicit order to decline whatever would violate someone's privacy or ethical norms"
        ),
    },
    GENERAL: {
        "Clarification Request": (
            "make it clearer and more instructive, so that it leads to a detailed and complete answer"
        ),
        "Information Augmentation": "enrich it with the background and the details that a good answer depends on",
        "Tone Improvement": "word it so that it invites a polite, helpful, honest and friendly answer",
    },
    "Honesty": {
        "Factuality Enhancement": (
            "have it insist on objective, verifiable facts instead of opinions or anything made up"
        ),
    },
    "Coding & Debugging": {
        "Error Simulation": "have it ask to think of common bugs and of edge cases while the problem is solved",
        "Debugging Guidance": "add guidance for debugging step by step and for analysing errors",
    },
    "Math": {
        "Hint Addition": "add hints, examples or first steps of thought that make the problem easier to solve",
        "Solution Verification": "have it ask that the answer be checked, or that its reasoning be explained in detail",
    },
}


def active(category: str | None, principles: Mapping[str, Mapping[str, str]], general: str) -> dict[str, str]:
    """The principles for a seed: its category's and the general ones; for any other label the general ones alone."""
    own = principles.get(category, {}) if category is not None else {}
    return {**own, **principles[general]}
