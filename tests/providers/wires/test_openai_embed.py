from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import Vendor
from victor.errors import ProviderAuthError, ProviderError, ProviderInvalidResponseError
from victor.providers.wires.openai_chat.embed import OpenAIEmbeddings
from victor.types import Embeddings, Usage


def _wire(vendor: str = "acme") -> OpenAIEmbeddings:
    return OpenAIEmbeddings(Vendor(vendor, "http://test"))


def _body(vendor: str = "acme", **options: Any) -> dict[str, Any]:
    call = _wire(vendor).encode(["a"], model="m", options=options)
    assert call.path == "/embeddings"
    body: dict[str, Any] = json.loads(call.body)
    return body


def _read(body: object, expected: int = 2) -> Embeddings:
    return _wire().decode(json.dumps(body).encode(), model="m", expected=expected)


def _rows(*rows: tuple[object, object]) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": vector} for index, vector in rows]}


def test_floats_are_asked_for() -> None:
    assert _body() == {"model": "m", "input": ["a"], "encoding_format": "float"}
    assert _body(dimensions=8, user="me", api_key="k") == {
        "model": "m",
        "input": ["a"],
        "encoding_format": "float",
        "dimensions": 8,
        "user": "me",
    }
    assert _body("mistral", dimensions=8)["output_dimension"] == 8


@pytest.mark.parametrize(("vendor", "most"), [("openai", 512), ("qwen", 10), ("acme", 128)])
def test_a_vendor_has_its_own_limit(vendor: str, most: int) -> None:
    assert _wire(vendor).most_texts == most


def test_vectors_are_read_with_their_usage() -> None:
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    answer = _read({**_rows((0, [1, 2]), (1, [0.5, 3])), "model": "m-1", "usage": usage})
    assert answer.vectors == [[1.0, 2.0], [0.5, 3.0]]
    assert answer.model == "m-1"
    assert answer.usage == Usage(prompt_tokens=3, total_tokens=3)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": 3}, Usage(prompt_tokens=3, total_tokens=3)),
        ({"total_tokens": 4}, Usage(total_tokens=4)),
    ],
)
def test_what_was_not_counted_is_unknown(usage: object, read: Usage | None) -> None:
    assert _read({**_rows((0, [1]), (1, [2])), "usage": usage}).usage == read


@pytest.mark.parametrize(
    ("places", "order"),
    [
        pytest.param((1, 0), [[2.0], [1.0]], id="by index"),
        pytest.param((None, None), [[1.0], [2.0]], id="without an index"),
        pytest.param((0, 0), [[1.0], [2.0]], id="one index for all"),
        pytest.param((5, 6), [[1.0], [2.0]], id="indexes of a larger batch"),
    ],
)
def test_vectors_are_in_the_order_of_their_texts(
    places: tuple[object, object], order: list[list[float]]
) -> None:
    assert _read(_rows((places[0], [1]), (places[1], [2]))).vectors == order


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"error": {"code": "invalid_api_key"}}, ProviderAuthError, id="an error"),
        pytest.param({"detail": "no"}, ProviderError, id="an error without a frame"),
        pytest.param({"object": "list"}, ProviderInvalidResponseError, id="no data"),
        pytest.param({"data": {}}, ProviderInvalidResponseError, id="data that is no list"),
        pytest.param(_rows((0, [1])), ProviderInvalidResponseError, id="too few"),
        pytest.param(_rows(*[(0, [1])] * 3), ProviderInvalidResponseError, id="too many"),
        pytest.param({"data": [1, 2]}, ProviderInvalidResponseError, id="no rows"),
        pytest.param(_rows((0, [1]), (1, "AAAA")), ProviderInvalidResponseError, id="base64"),
        pytest.param(_rows((0, [1]), (1, ["x"])), ProviderInvalidResponseError, id="texts"),
        pytest.param(_rows((0, [1]), (1, [])), ProviderInvalidResponseError, id="empty"),
        pytest.param(
            _rows((0, [1]), (1, [float("inf")])), ProviderInvalidResponseError, id="infinite"
        ),
        pytest.param(_rows((0, [1]), (1, [10**400])), ProviderInvalidResponseError, id="huge"),
    ],
)
def test_what_is_no_vectors_is_an_error(body: object, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        _read(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "embedding", "index", "usage", "prompt_tokens", "model"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(_JSON, _JSON)
@settings(max_examples=100, deadline=None)
def test_nothing_a_server_sends_is_a_crash(odd: Any, other: Any) -> None:
    for body in (odd, {"data": odd, "usage": other}, _rows((0, odd), (other, [1]))):
        with suppress(ProviderError):
            assert len(_read(body).vectors) == 2
