"""`score: magpie_difficulty`: what an instruction wants, what one has to know for it, and how hard it is.

The difficulty tag of Magpie (Xu et al., arXiv 2406.08464); the prompt is ours, in the sense of theirs.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.operator import Context, Row, scorer
from engine.operators.scorers._magpie_tags import READS, TagParams, ask, label, tag_asks, text
from engine.request import Capability

LEVELS = ("very easy", "easy", "medium", "hard", "very hard")

PROMPT = """\
Below is a message that a user sent to an AI assistant. Do not answer it: judge how hard it is to answer well.

First say in one sentence what the user wants (the intent). Then say what one has to know to answer (the knowledge). \
Then choose one level of difficulty: very easy, easy, medium, hard or very hard.

The message:
```
{instruction}
```

Answer with one JSON object and nothing else:
{
    "intent": "The user wants ...",
    "knowledge": "To answer, one has to know ...",
    "difficulty": "very easy, easy, medium, hard or very hard"
}"""


@scorer(
    params=TagParams,
    reads=READS,
    writes={"intent": pa.string(), "knowledge": pa.string(), "difficulty": pa.string()},
    needs={Capability.GENERATE},
    asks=lambda params: tag_asks(PROMPT, params),
)
async def magpie_difficulty(row: Row, params: TagParams, ctx: Context) -> dict[str, Any]:
    """Asks a judge for intent, needed knowledge and difficulty of an instruction, in this order.

    Raises:
        RowError: there is no instruction, or the reply can't be read; the row's tags are null.
    """
    found = await ask(row, PROMPT, params, ctx)
    difficulty = label(found, "difficulty", LEVELS)
    return {"intent": text(found, "intent"), "knowledge": text(found, "knowledge"), "difficulty": difficulty}
