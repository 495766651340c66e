from __future__ import annotations

import json
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.errors import ProviderError, ProviderInvalidResponseError
from victor.providers.wires.cohere.embed import CohereEmbeddings
from victor.types import Embeddings, Usage

WIRE = CohereEmbeddings(Vendor("acme", "http://test", wire="cohere"))


def _body(**options: Any) -> dict[str, Any]:
    call = WIRE.encode(["a", "b"], model="m", options=options)
    assert call.path == "/v2/embed"
    body: dict[str, Any] = json.loads(call.body)
    return body


def _read(body: object, expected: int = 2) -> Embeddings:
    return WIRE.decode(json.dumps(body).encode(), model="m", expected=expected)


def test_texts_are_documents_unless_told() -> None:
    assert _body() == {
        "model": "m",
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float"],
    }
    body = _body(input_type="search_query", dimensions=256, truncate="NONE", model="x")
    assert body["input_type"] == "search_query"
    assert body["output_dimension"] == 256
    assert body["truncate"] == "NONE"
    assert body["model"] == "m"
    assert WIRE.most_texts == 96


@pytest.mark.parametrize(
    "found", [{"float": [[1, 0.5], [2, -1]]}, [[1, 0.5], [2, -1]]], ids=["by type", "plain"]
)
def test_vectors_are_read(found: object) -> None:
    meta = {"tokens": {"input_tokens": 4}, "billed_units": {"input_tokens": 2}}
    answer = _read({"embeddings": found, "meta": meta})
    assert answer.vectors == [[1.0, 0.5], [2.0, -1.0]]
    assert answer.model == "m"
    assert answer.usage == Usage(prompt_tokens=4, total_tokens=4)


def test_billed_units_are_no_tokens() -> None:
    meta = {"billed_units": {"input_tokens": 2}}
    assert _read({"embeddings": {"float": [[1], [2]]}, "meta": meta}).usage is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"message": "no such model"}, ProviderError, id="an error"),
        pytest.param({"embeddings": None}, ProviderInvalidResponseError, id="null"),
        pytest.param({"embeddings": {"int8": [[1], [2]]}}, ProviderInvalidResponseError, id="int8"),
        pytest.param({"embeddings": [[1]]}, ProviderInvalidResponseError, id="too few"),
        pytest.param({"embeddings": [[1], "x"]}, ProviderInvalidResponseError, id="text"),
        pytest.param({"embeddings": [[1], [None]]}, ProviderInvalidResponseError, id="a hole"),
        pytest.param({"embeddings": [[1], []]}, ProviderInvalidResponseError, id="empty"),
        pytest.param({"embeddings": [[1], [float("nan")]]}, ProviderInvalidResponseError, id="NaN"),
    ],
)
def test_what_is_no_vectors_is_an_error(body: object, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        _read(body)
