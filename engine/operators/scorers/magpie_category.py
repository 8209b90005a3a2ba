"""`score: magpie_category`: what kind of task an instruction is.

The task category of Magpie (Xu et al., arXiv 2406.08464); the prompt is ours, in the sense of theirs. Their prompt
offers the label "Others" where their reader knows "Other" alone; here both are read, as "Others".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from engine.errors import RowError
from engine.operator import Context, Row, scorer
from engine.operators.scorers._magpie_tags import READS, TagParams, ask, label, tag_asks
from engine.request import Capability

CATEGORIES = (
    "Information seeking", "Reasoning", "Planning", "Editing", "Coding & Debugging", "Math", "Role playing",
    "Data analysis", "Creative writing", "Advice seeking", "Brainstorming", "Others",
)  # fmt: skip

PROMPT = f"""\
Below is a message that a user sent to an AI assistant. Do not answer it: say what kind of task it is.

The kinds are: {", ".join(CATEGORIES)}.

The message:
```
{{instruction}}
```

Choose the one kind that fits best, and list all others that fit as well, if any. Answer with one JSON object and \
nothing else:
{{
    "primary_tag": "...",
    "other_tags": ["...", "..."]
}}"""


@scorer(
    params=TagParams,
    reads=READS,
    writes={"task_category": pa.string(), "other_task_category": pa.list_(pa.string())},
    needs={Capability.GENERATE},
    asks=lambda params: tag_asks(PROMPT, params),
)
async def magpie_category(row: Row, params: TagParams, ctx: Context) -> dict[str, Any]:
    """Asks a judge for the one category of an instruction that fits best, and for the others that fit.

    Raises:
        RowError: there is no instruction, or the reply can't be read; the row's tags are null.
    """
    found = await ask(row, PROMPT, params, ctx)
    others = found.get("other_tags")
    if not isinstance(others, list):
        raise RowError(f"the judge's other_tags are {others!r}, not a list")
    return {
        "task_category": _category(found, "primary_tag"),
        "other_task_category": [_category({"other_tags": tag}, "other_tags") for tag in others],
    }


def _category(found: Mapping[str, Any], key: str) -> str:
    return label({key: "Others"} if found.get(key) in ("Other", "other") else found, key, CATEGORIES)
