"""`score: magpie_quality`: how clear, specific and coherent an instruction is.

The input quality tag of Magpie (Xu et al., arXiv 2406.08464); the prompt is ours, in the sense of theirs.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.operator import Context, Row, scorer
from engine.operators.scorers._magpie_tags import READS, TagParams, ask, label, tag_asks, text
from engine.request import Capability

LEVELS = ("very poor", "poor", "average", "good", "excellent")

PROMPT = """\
Below is a message that a user sent to an AI assistant. Do not answer it: judge how well it is put. Look at its \
clarity, its specificity and its coherence.

- very poor: unclear or incoherent; it can't be told what is wanted.
- poor: somewhat unclear, or important details are missing; one would have to ask back.
- average: mostly clear; some details are missing, but it can be answered.
- good: clear, specific and coherent; it can be answered well.
- excellent: very clear and specific, with all the context that a full answer needs.

The message:
```
{instruction}
```

First explain your judgement in a sentence or two, then give the level. Answer with one JSON object and nothing else:
{
    "explanation": "...",
    "input_quality": "very poor, poor, average, good or excellent"
}"""


@scorer(
    params=TagParams,
    reads=READS,
    writes={"quality_explanation": pa.string(), "input_quality": pa.string()},
    needs={Capability.GENERATE},
    asks=lambda params: tag_asks(PROMPT, params),
)
async def magpie_quality(row: Row, params: TagParams, ctx: Context) -> dict[str, Any]:
    """Asks a judge for an explanation first, then for the quality of an instruction.

    Raises:
        RowError: there is no instruction, or the reply can't be read; the row's tags are null.
    """
    found = await ask(row, PROMPT, params, ctx)
    return {"quality_explanation": text(found, "explanation"), "input_quality": label(found, "input_quality", LEVELS)}
