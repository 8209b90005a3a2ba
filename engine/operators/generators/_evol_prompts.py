"""The prompts of `generate: evol_complexity` and `generate: evol_quality`: our words, the sense of deita's.

The ways to make an instruction harder are WizardLM's in-depth operators (Xu et al., arXiv 2304.12244, section 3.2).
"""

HARDER = {
    "constraints": "Add one more constraint or requirement.",
    "deepening": "Where it asks about an issue, ask for more depth and breadth.",
    "concretising": "Replace a general notion by a more specific one.",
    "reasoning": "If a few simple steps solve it, rewrite it so that it asks for several steps of reasoning.",
}
BETTER = {
    "helpfulness": "Make it more helpful to the one who asks.",
    "relevance": "Make it more relevant to what is asked.",
    "depth": "Go deeper into the matter.",
    "creativity": "Make it more creative.",
    "detail": "Add details.",
}

EVOLVE_INSTRUCTION = """\
Rewrite the prompt below into one that is a little harder for an AI assistant, but reasonable: a person must be able \
to understand it and to answer it.

How to make it harder: {method}

Keep everything that is not text, such as tables, code and given input. Add no more than 10 to 20 words. Write the new \
prompt alone, without any remark.

The prompt:
{instruction}"""

EVOLVE_RESPONSE = """\
Rewrite the response below into one that is a little better, but reasonable.

How to make it better: {method}

Keep everything that is not text, such as tables and code. Add no more than 10 to 20 words. Write the new response \
alone, without any remark.

The prompt that it responds to:
{instruction}

The response:
{response}"""

RANK_INSTRUCTIONS = """\
Below are {count} instructions. Rank them by their difficulty and complexity, then score each from 1 to 5: the harder \
and the more complex, the higher. Give 6 to one that is too complex to be answered. Differences between the \
instructions must show in the scores.

{variants}

Write one line for each instruction, in the order in which they stand above, and nothing else:
[1] Score:
[2] Score:
and so on to [{count}]."""

RANK_RESPONSES = """\
Below are a prompt and {count} responses to it. Rank the responses by their helpfulness, relevance, accuracy, depth, \
creativity and level of detail, then score each from 1 to 5: the better, the higher. Give 6 to one that cannot be \
improved. Differences between the responses must show in the scores.

The prompt:
{instruction}

{variants}

Write one line for each response, in the order in which they stand above, and nothing else:
[Response 1] Score:
[Response 2] Score:
and so on to [Response {count}]."""
