from __future__ import annotations

import json
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.errors import ProviderError, ProviderInvalidResponseError, ProviderRateLimitError
from victor.providers.wires.gemini.embed import GeminiEmbeddings
from victor.types import Embeddings

GOOGLE = GeminiEmbeddings(Vendor("google", None, wire="gemini", auth="x-goog-api-key"))
VERTEX = GeminiEmbeddings(Vendor("vertex", None, wire="gemini", auth="google"))


def _decode(wire: GeminiEmbeddings, value: Any, expected: int = 2) -> Embeddings:
    return wire.decode(json.dumps(value).encode(), model="m", expected=expected)


def _row(*values: Any, tokens: Any = 3) -> dict[str, Any]:
    return {"embeddings": {"values": list(values), "statistics": {"token_count": tokens}}}


def test_the_developer_api_repeats_the_options_for_each_text() -> None:
    options = {"dimensions": 4, "taskType": "RETRIEVAL_QUERY", "api_key": "k", "title": None}
    call = GOOGLE.encode(["a", "b"], model="models/embed-1", options=options)
    assert call.path == "/models/embed-1:batchEmbedContents"
    common = {
        "model": "models/embed-1",
        "outputDimensionality": 4,
        "taskType": "RETRIEVAL_QUERY",
    }
    assert json.loads(call.body) == {
        "requests": [
            {"content": {"parts": [{"text": "a"}]}, **common},
            {"content": {"parts": [{"text": "b"}]}, **common},
        ]
    }
    plain = json.loads(GOOGLE.encode(["a"], model="embed-1", options={}).body)
    assert set(plain["requests"][0]) == {"model", "content"}


def test_vertex_has_options_of_each_text_and_of_all() -> None:
    options = {"dimensions": 4, "task_type": "RETRIEVAL_QUERY", "autoTruncate": False}
    call = VERTEX.encode(["a"], model="embed-1", options=options)
    assert call.path == "/models/embed-1:predict"
    assert json.loads(call.body) == {
        "instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"outputDimensionality": 4, "autoTruncate": False},
    }
    plain = json.loads(VERTEX.encode(["a"], model="embed-1", options={}).body)
    assert plain == {"instances": [{"content": "a"}]}


def test_vertex_takes_one_text_at_a_time() -> None:
    assert (VERTEX.most_texts, GOOGLE.most_texts) == (1, 100)


def test_vectors_are_read_in_order() -> None:
    value = {"embeddings": [{"values": [1, 0.5]}, {"values": [0, -1e-3]}]}
    found = _decode(GOOGLE, value)
    assert found.vectors == [[1.0, 0.5], [0.0, -0.001]]
    assert all(isinstance(number, float) for vector in found.vectors for number in vector)
    assert (found.model, found.usage) == ("m", None)
    used = _decode(GOOGLE, {**value, "usageMetadata": {"promptTokenCount": 4}}).usage
    assert used is not None
    assert (used.prompt_tokens, used.total_tokens, used.completion_tokens) == (4, 4, None)


def test_vertex_counts_tokens_by_text() -> None:
    found = _decode(VERTEX, {"predictions": [_row(1, 2), _row(3, 4, tokens=None)]})
    assert found.vectors == [[1.0, 2.0], [3.0, 4.0]]
    assert found.usage is not None
    assert found.usage.prompt_tokens == 3
    assert _decode(VERTEX, {"predictions": [_row(1, tokens=None)]}, 1).usage is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"embeddings": [{"values": [1]}]},
        {"embeddings": [{"values": [1]}] * 3},
        {"embeddings": [{"values": [1]}, {"values": []}]},
        {"embeddings": [{"values": [1]}, {"values": ["x"]}]},
        {"embeddings": [{"values": [1]}, {"values": [True]}]},
        {"embeddings": [{"values": [1]}, {"values": {"0": 1}}]},
        {"embeddings": [{"values": [1]}, None]},
        {"embeddings": {"values": [1]}},
        {"predictions": [1, {"embeddings": 3}]},
        {"predictions": None},
        [],
        3,
    ],
    ids=str,
)
@pytest.mark.parametrize("wire", [GOOGLE, VERTEX], ids=["google", "vertex"])
def test_anything_but_one_vector_for_each_text_is_refused(
    wire: GeminiEmbeddings, value: Any
) -> None:
    with pytest.raises(ProviderInvalidResponseError):
        _decode(wire, value)


def test_an_error_is_raised_as_what_it_is() -> None:
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}
    with pytest.raises(ProviderRateLimitError, match="slow down"):
        _decode(GOOGLE, {"error": error})
    with pytest.raises(ProviderError, match="slow down"):
        _decode(VERTEX, [{"error": error}])
