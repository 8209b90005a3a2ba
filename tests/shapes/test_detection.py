"""Which shape a table's columns make it, and that every published set is told right."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from operators.sources.reading import SHARED
from shapes.filling import FROM_VALUE, ROLE_CONTENT, TEXT

from engine.operators.sources._reader import Input
from engine.operators.sources._types import normal_schema
from engine.shapes import SHAPES, detect

ALPACA = {"instruction": TEXT, "input": TEXT, "output": TEXT}
MESSAGE = ROLE_CONTENT.value_type


@pytest.mark.parametrize(
    ("columns", "shape"),
    [
        (ALPACA, "alpaca"),
        ({"instruction": TEXT, "output": TEXT}, "alpaca"),
        ({"instruction": TEXT, "output": pa.int64()}, "raw"),
        ({"messages": ROLE_CONTENT}, "openai"),
        ({"messages": FROM_VALUE}, "raw"),
        ({"messages": TEXT, "text": TEXT}, "text"),
        ({"messages": ROLE_CONTENT, "text": TEXT, "prompt": TEXT, "completion": TEXT}, "openai"),
        ({"conversations": FROM_VALUE}, "sharegpt"),
        ({"conversation": FROM_VALUE}, "sharegpt"),
        ({"conversations": ROLE_CONTENT, "tools": TEXT}, "sharegpt"),
        ({"conversations": TEXT}, "raw"),
        ({"prompt": TEXT, "completion": TEXT, "label": pa.bool_()}, "prompt_completion"),
        ({"prompt": ROLE_CONTENT, "completion": ROLE_CONTENT}, "prompt_completion"),
        ({"prompt": TEXT}, "raw"),
        ({"prompt": TEXT, "chosen": TEXT, "rejected": TEXT}, "preference"),
        ({"prompt": ROLE_CONTENT, "chosen": ROLE_CONTENT, "rejected": ROLE_CONTENT}, "preference"),
        ({"chosen": ROLE_CONTENT, "rejected": ROLE_CONTENT, "messages": ROLE_CONTENT}, "preference"),
        (
            {"conversations": FROM_VALUE, "chosen": FROM_VALUE.value_type, "rejected": FROM_VALUE.value_type},
            "preference",
        ),
        ({**ALPACA, "chosen": TEXT, "rejected": TEXT}, "preference"),
        ({"chosen": TEXT, "rejected": TEXT}, "raw"),
        ({"chosen": MESSAGE, "rejected": MESSAGE}, "raw"),
        ({"text": TEXT}, "text"),
        ({"question": TEXT, "answer": TEXT}, "raw"),
    ],
)
def test_shape_of_columns(columns, shape):
    assert detect(pa.schema(columns)).name == shape


def test_every_shape_names_what_it_needs():
    assert list(SHAPES) == ["preference", "openai", "sharegpt", "alpaca", "prompt_completion", "text", "raw"]
    assert all(shape.name == name and shape.needs for name, shape in SHAPES.items())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("instructions/alpaca_52k", "alpaca"),
        ("instructions/gpteacher_codegen_roleplay", "alpaca"),
        ("instructions/eval_prompts", "raw"),
        ("conversations/fastchat_dummy_sharegpt", "sharegpt"),
        ("conversations/glaive_toolcall_300", "sharegpt"),
        ("conversations/oasst_threads", "openai"),
        ("preferences/kto_en_300", "openai"),
        ("preferences/oasst_ranked_pairs", "preference"),
        ("preferences/hh_harmless", "preference"),
        ("preferences/dpo_en_300", "preference"),
        ("preferences/polite_vs_rude_1100", "preference"),
        ("preferences/pandalm_human", "raw"),
        ("text/c4_demo_300", "text"),
        ("text/english_text", "text"),
        ("safety/xstest_prompts", "raw"),
    ],
)
def test_shape_of_published_sets(name, shape):
    path = SHARED / f"{name}.parquet"
    if not path.exists():
        pytest.skip("the shared data is not here")
    assert detect(normal_schema(pq.read_schema(path), Input(name))).name == shape
