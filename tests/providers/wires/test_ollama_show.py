from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.providers.wires.ollama.show import (
    MOST_CONTEXT,
    context_to_ask_for,
    read_ps,
    read_show,
)


def _show(**body: Any) -> ModelData:
    return read_show(json.dumps(body).encode())


def _facts(size: object, **more: object) -> dict[str, object]:
    return {"general.architecture": "llama", "llama.context_length": size, **more}


@pytest.mark.parametrize(
    ("body", "window"),
    [
        pytest.param({"model_info": _facts(8192)}, 8192, id="the model's own"),
        pytest.param({"model_info": _facts(131_072)}, MOST_CONTEXT, id="what is asked for"),
        pytest.param(
            {"model_info": _facts(8192), "parameters": 'stop   "x"\nnum_ctx     4096\ntop_k 1'},
            4096,
            id="what its Modelfile says",
        ),
        pytest.param(
            {"model_info": _facts(8192), "parameters": "num_ctx 65536"}, 8192, id="no more than has"
        ),
        pytest.param({"parameters": "num_ctx   4096"}, 4096, id="the Modelfile alone"),
        pytest.param({"parameters": "num_ctx many"}, None, id="no number"),
        pytest.param(
            {"model_info": {"clip.other": 1, "x.context_length": 512}}, 512, id="no architecture"
        ),
        pytest.param(
            {
                "model_info": _facts(
                    4096, **{"a.context_length": 7, "llama.rope.original_context_length": 2}
                )
            },
            4096,
            id="that of its architecture",
        ),
        pytest.param(
            {"model_info": _facts(131_072), "remote_host": "https://a.test"},
            131_072,
            id="the cloud's memory is not ours",
        ),
        pytest.param({"model_info": _facts("8192")}, None, id="text"),
        pytest.param({"model_info": _facts(0)}, None, id="zero"),
    ],
)
def test_the_usable_context_is_read(body: dict[str, Any], window: int | None) -> None:
    assert _show(**body).context_window == window


@pytest.mark.parametrize(
    ("can", "known"),
    [
        pytest.param(None, UNKNOWN_MODEL, id="an older server"),
        pytest.param([], UNKNOWN_MODEL, id="nothing"),
        pytest.param(
            ["completion", "tools", "thinking", "vision"],
            ModelData(tool_mode="native", vision=True, reasoning=True),
            id="everything",
        ),
        pytest.param(
            ["completion", "insert"],
            ModelData(tool_mode="constrained", vision=False, reasoning=False),
            id="text",
        ),
        pytest.param(
            ["embedding"],
            ModelData(tool_mode="none", vision=False, reasoning=False),
            id="embeddings",
        ),
    ],
)
def test_abilities_are_read(can: Any, known: ModelData) -> None:
    assert _show(capabilities=can) == known


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error":"x"}'])
def test_a_body_that_says_nothing_says_nothing(body: bytes) -> None:
    assert read_show(body) == UNKNOWN_MODEL
    assert read_ps(body) == {}


def test_loaded_models_have_their_context() -> None:
    rows = [
        {"name": "a:latest", "model": "a:latest", "context_length": 4096},
        {"name": "b", "context_length": 8192},
        {"name": "an older server's"},
        {"context_length": 1},
        None,
    ]
    assert read_ps(json.dumps({"models": rows}).encode()) == {
        "a:latest": ModelData(context_window=4096),
        "b": ModelData(context_window=8192),
    }


def test_what_is_said_of_a_model_is_what_is_asked_for() -> None:
    for size in (2048, MOST_CONTEXT, 1_000_000):
        window = _show(model_info=_facts(size)).context_window
        assert context_to_ask_for("m", window) == window


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(_JSON)
@settings(max_examples=100, deadline=None)
def test_nothing_a_server_sends_is_a_crash(odd: Any) -> None:
    assert isinstance(_show(model_info=odd, parameters=odd, capabilities=odd), ModelData)
    facts = {"general.architecture": odd, "x.context_length": odd}
    assert isinstance(_show(model_info=facts, remote_host=odd), ModelData)
    for body in (odd, {"models": odd}, {"models": [odd]}, {"models": [{"model": odd}]}):
        assert isinstance(read_ps(json.dumps(body).encode()), dict)
