from __future__ import annotations

import json

import pytest

from tests.providers.wires.bodies import Json, event_of, read_stream, read_whole
from victor.types import Usage

USAGES = [
    pytest.param({"usage": None}, None, id="null"),
    pytest.param({"usage": {}}, None, id="empty"),
    pytest.param({}, None, id="absent"),
    pytest.param({"usage": [1]}, None, id="not an object"),
    pytest.param({"usage": {"prompt_tokens": 7}}, Usage(prompt_tokens=7), id="a part is unknown"),
    pytest.param(
        {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0),
        id="zeros are known",
    ),
    pytest.param(
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 3},
            }
        },
        Usage(
            prompt_tokens=10,
            completion_tokens=4,
            total_tokens=14,
            cached_tokens=8,
            cache_write_tokens=1,
            reasoning_tokens=3,
        ),
        id="details",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 5, "prompt_tokens_details": None, "queue_time": 0.5}},
        Usage(prompt_tokens=5),
        id="null details and unknown fields",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 5, "prompt_cache_hit_tokens": 2}},
        Usage(prompt_tokens=5, cached_tokens=2),
        id="deepseek's cache",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 5, "cached_tokens": 3, "reasoning_tokens": 4}},
        Usage(prompt_tokens=5, cached_tokens=3, reasoning_tokens=4),
        id="details outside of details",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 5, "num_cached_tokens": 0}},
        Usage(prompt_tokens=5, cached_tokens=0),
        id="mistral's cache",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cache_creation_tokens": 2}}},
        Usage(prompt_tokens=5, cache_write_tokens=2),
        id="litellm's cache",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 31}},
        Usage(prompt_tokens=10, completion_tokens=21, total_tokens=31),
        id="thinking is only in the total",
    ),
    pytest.param(
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "total_tokens": 31,
                "prompt_tokens_details": {"audio_tokens": 20},
            }
        },
        Usage(prompt_tokens=30, completion_tokens=1, total_tokens=31),
        id="mistral's audio is only in the total",
    ),
    pytest.param(
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "total_tokens": 11,
                "prompt_tokens_details": {"audio_tokens": 8},
            }
        },
        Usage(prompt_tokens=10, completion_tokens=1, total_tokens=11),
        id="others count audio as prompt",
    ),
    pytest.param(
        {"x_groq": {"usage": {"prompt_tokens": 6}}}, Usage(prompt_tokens=6), id="under x_groq"
    ),
    pytest.param({"x_groq": {"id": "r"}}, None, id="x_groq without usage"),
    pytest.param(
        {"usage": {"prompt_tokens": 6.0, "completion_tokens": True, "total_tokens": "9"}},
        Usage(prompt_tokens=6),
        id="odd types",
    ),
    pytest.param({"usage": {"prompt_tokens": float("inf")}}, Usage(), id="infinite"),
]


@pytest.mark.parametrize(("more", "usage"), USAGES)
def test_usage_is_read_and_what_is_unknown_stays_none(more: Json, usage: Usage | None) -> None:
    assert read_whole({"content": "x"}, **more).usage == usage
    _, final = read_stream({"content": "x"}, event_of(finish="stop"), json.dumps(more).encode())
    assert final.usage == usage
    _, final = read_stream({"content": "x"}, event_of({"content": "y"}, "stop", **more))
    assert final.usage == usage


def test_repeated_usage_is_cumulative_and_never_added_up() -> None:
    def usage(count: int) -> Json:
        return {"usage": {"prompt_tokens": 2, "completion_tokens": count}}

    _, final = read_stream(
        event_of({"content": "a"}, **usage(1)),
        event_of({"content": "b"}, **usage(2)),
        event_of(finish="stop", **usage(3)),
        json.dumps({"choices": [], **usage(3)}).encode(),
        json.dumps({"choices": [], "usage": None}).encode(),
    )
    assert final.usage == Usage(prompt_tokens=2, completion_tokens=3, total_tokens=5)


def test_usage_may_be_a_choices() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 4}}
    event = json.dumps({"choices": [choice]}).encode()
    assert read_stream({"content": "x"}, event)[1].usage == Usage(prompt_tokens=4)
