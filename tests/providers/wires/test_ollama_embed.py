from __future__ import annotations

import json
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.errors import ModelNotFoundError, ProviderError, ProviderInvalidResponseError
from victor.providers.wires.ollama.embed import OllamaEmbeddings
from victor.types import Embeddings, Usage

WIRE = OllamaEmbeddings(Vendor("acme", "http://test", wire="ollama"))


def _body(**options: Any) -> dict[str, Any]:
    call = WIRE.encode(["a", "b"], model="m", options=options)
    assert call.path == "/api/embed"
    body: dict[str, Any] = json.loads(call.body)
    return body


def _read(body: object) -> Embeddings:
    return WIRE.decode(json.dumps(body).encode(), model="m", expected=2)


def test_texts_are_sent_whole() -> None:
    assert _body() == {"model": "m", "input": ["a", "b"], "truncate": False}
    assert _body(dimensions=8, num_ctx=99, keep_alive=0, truncate=True, stream=True) == {
        "model": "m",
        "input": ["a", "b"],
        "truncate": True,
        "dimensions": 8,
        "keep_alive": 0,
        "options": {"num_ctx": 99},
    }
    assert WIRE.most_texts == 128


def test_vectors_are_read() -> None:
    answer = _read({"model": "m:latest", "embeddings": [[1, 0.5], [2, 0]], "prompt_eval_count": 8})
    assert answer.vectors == [[1.0, 0.5], [2.0, 0.0]]
    assert answer.model == "m:latest"
    assert answer.usage == Usage(prompt_tokens=8, total_tokens=8)
    assert _read({"embeddings": [[1], [2]]}).usage is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"error": "model 'x' not found"}, ModelNotFoundError, id="an error"),
        pytest.param({}, ProviderInvalidResponseError, id="nothing"),
        pytest.param({"embedding": [1]}, ProviderInvalidResponseError, id="the older API"),
        pytest.param({"embeddings": [[1]]}, ProviderInvalidResponseError, id="too few"),
        pytest.param({"embeddings": [[1], "x"]}, ProviderInvalidResponseError, id="text"),
        pytest.param({"embeddings": [[1], [[1]]]}, ProviderInvalidResponseError, id="nested"),
        pytest.param({"embeddings": [[1], [float("nan")]]}, ProviderInvalidResponseError, id="NaN"),
        pytest.param({"embeddings": [[1], {}]}, ProviderInvalidResponseError, id="an object"),
    ],
)
def test_what_is_no_vectors_is_an_error(body: object, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        _read(body)
