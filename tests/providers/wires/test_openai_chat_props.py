from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.providers.wires.openai_chat.props import read_models, read_props


def _props(**body: Any) -> ModelData:
    return read_props(json.dumps(body).encode())


def _row(**row: Any) -> ModelData:
    found = read_models(json.dumps({"data": [{"id": "m", **row}]}).encode())
    assert list(found) == ["m"]
    return found["m"]


def test_llama_cpp_says_what_it_serves() -> None:
    caps = {
        "supports_tools": True,
        "supports_tool_calls": True,
        "supports_parallel_tool_calls": False,
        "supports_system_role": False,
    }
    assert _props(
        default_generation_settings={"n_ctx": 4096},
        chat_template_caps=caps,
        modalities={"vision": True, "audio": False},
    ) == ModelData(
        context_window=4096,
        tool_mode="native",
        parallel_tools=False,
        vision=True,
        system_role="user",
    )


@pytest.mark.parametrize(
    ("caps", "mode"),
    [
        ({}, None),
        ({"supports_tools": False}, "constrained"),
        ({"supports_tools": False, "supports_tool_calls": True}, "native"),
        ({"supports_tools": "yes"}, None),
    ],
)
def test_a_template_without_tools_needs_them_in_the_prompt(
    caps: dict[str, Any], mode: str | None
) -> None:
    assert _props(chat_template_caps=caps).tool_mode == mode


def test_an_older_llama_cpp_says_its_context_elsewhere() -> None:
    assert _props(n_ctx=2048) == ModelData(context_window=2048)


@pytest.mark.parametrize(
    ("row", "known"),
    [
        pytest.param({}, UNKNOWN_MODEL, id="a name alone"),
        pytest.param(
            {
                "context_length": 200_000,
                "architecture": {"input_modalities": ["text", "image", "file"]},
                "pricing": {
                    "prompt": "0.00000125",
                    "completion": "0.00001",
                    "input_cache_read": "0.000000125",
                    "input_cache_write": "0",
                    "web_search": "0.01",
                },
                "top_provider": {"context_length": 100_000, "max_completion_tokens": 8192},
                "supported_parameters": ["tools", "reasoning", "structured_outputs"],
            },
            ModelData(
                context_window=200_000,
                max_output_tokens=8192,
                tool_mode="native",
                vision=True,
                documents=True,
                json_schema=True,
                reasoning=True,
                sampling=False,
                input_price=1.25,
                output_price=10.0,
                cached_price=0.125,
                cache_write_price=0.0,
            ),
            id="OpenRouter",
        ),
        pytest.param(
            {
                "architecture": {"modality": "text+image->text"},
                "pricing": {"prompt": "-1", "completion": "free"},
                "supported_parameters": ["temperature", "parallel_tool_calls"],
            },
            ModelData(
                tool_mode="constrained",
                parallel_tools=True,
                vision=True,
                json_schema=False,
                reasoning=False,
                sampling=True,
            ),
            id="OpenRouter of old",
        ),
        pytest.param({"max_model_len": 4096}, ModelData(context_window=4096), id="vLLM"),
        pytest.param(
            {"meta": {"n_ctx_train": 131_072}, "architecture": {"input_modalities": ["text"]}},
            ModelData(context_window=131_072, vision=False),
            id="llama.cpp",
        ),
        pytest.param({"meta": None}, UNKNOWN_MODEL, id="llama.cpp while it loads"),
        pytest.param(
            {"context_window": 131_072, "max_completion_tokens": 32_768, "active": True},
            ModelData(context_window=131_072, max_output_tokens=32_768),
            id="Groq",
        ),
        pytest.param(
            {
                "max_context_length": 131_072,
                "capabilities": {"completion_chat": True, "function_calling": True, "vision": True},
            },
            ModelData(context_window=131_072, tool_mode="native", vision=True),
            id="Mistral",
        ),
        pytest.param(
            {"context_length": 32_768, "pricing": {"input": 0.3, "output": 0.6, "hourly": 0}},
            ModelData(context_window=32_768, input_price=0.3, output_price=0.6),
            id="Together",
        ),
        pytest.param(
            {
                "type": "vlm",
                "max_context_length": 131_072,
                "loaded_context_length": 4096,
                "capabilities": ["tool_use"],
            },
            ModelData(context_window=4096, tool_mode="native", vision=True),
            id="LM Studio",
        ),
        pytest.param({"type": "llm"}, ModelData(vision=False), id="LM Studio's text model"),
        pytest.param(
            {
                "limits": {"max_input_tokens": 1_048_576, "max_output_tokens": 32_768},
                "supported_input_modalities": ["text", "image"],
                "capabilities": ["streaming", "tool-calling"],
            },
            ModelData(
                context_window=1_048_576, max_output_tokens=32_768, tool_mode="native", vision=True
            ),
            id="GitHub",
        ),
    ],
)
def test_a_listing_says_more_than_names(row: dict[str, Any], known: ModelData) -> None:
    assert _row(**row) == known


def test_lm_studios_newer_listing_is_read() -> None:
    row = {
        "key": "qwen",
        "type": "llm",
        "max_context_length": 40_960,
        "loaded_instances": [{"id": "qwen", "config": {"context_length": 8192}}],
        "capabilities": {"vision": False, "trained_for_tool_use": False},
    }
    idle = {**row, "key": "idle", "loaded_instances": []}
    known = ModelData(context_window=8192, tool_mode="constrained", vision=False)
    assert read_models(json.dumps({"models": [row, idle]}).encode()) == {
        "qwen": known,
        "idle": ModelData(context_window=40_960).over(known),
    }


def test_a_listing_may_be_a_bare_list_and_rows_may_be_named_otherwise() -> None:
    body = [{"id": "a"}, {"name": "b"}, {"object": "model"}, None]
    assert list(read_models(json.dumps(body).encode())) == ["a", "b"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"3", b'{"data":{}}', b'{"error":"x"}'])
def test_a_body_that_says_nothing_says_nothing(body: bytes) -> None:
    assert read_models(body) == {}
    assert read_props(body) == UNKNOWN_MODEL


@pytest.mark.parametrize("price", ["1e400", "nan", None, [], "-0.5", 10**400])
def test_a_price_that_is_none_is_unknown(price: object) -> None:
    assert _row(pricing={"prompt": price}).input_price is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "n_ctx",
                    "vision",
                    "context_length",
                    "prompt",
                    "input",
                    "modality",
                    "input_modalities",
                    "config",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
_KEYS = [
    "id",
    "name",
    "default_generation_settings",
    "chat_template_caps",
    "modalities",
    "meta",
    "architecture",
    "pricing",
    "capabilities",
    "supported_parameters",
    "top_provider",
    "limits",
    "type",
    "loaded_instances",
    "context_length",
]


@given(st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=6), _JSON)
@settings(max_examples=150, deadline=None)
def test_nothing_a_server_sends_is_a_crash(row: dict[str, Any], odd: Any) -> None:
    assert isinstance(_props(**row), ModelData)
    for body in (odd, {"data": odd}, {"models": [odd]}, {"data": [{**row, "id": "m"}]}):
        assert isinstance(read_models(json.dumps(body).encode()), dict)
