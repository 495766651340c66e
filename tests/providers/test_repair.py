from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import (
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderRateLimitError,
)
from victor.providers.failures import error_from_response
from victor.providers.repair import Repair, repair_for
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_chat.encode import encode
from victor.types import Message

OPTIONS = {
    "reasoning_effort": "minimal",
    "top_p": 0.5,
    "top_k": 3,
    "seed": 1,
    "stop": "x",
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "parallel_tool_calls": True,
}
REQUEST = ChatRequest(
    [Message(role="system", content="s"), Message(role="user", content="u")],
    "m",
    temperature=0.7,
    max_tokens=100_000,
    stream=True,
    options=OPTIONS,
)
BARE = ChatRequest([Message(role="user", content="u")], "m")


def _refusal(body: object, status: int = 400) -> ProviderError:
    return error_from_response(
        status, {}, json.dumps(body).encode(), provider="acme", model="m", host="api.acme.example"
    )


def _said(message: str, param: str | None = None, code: str | None = None) -> ProviderError:
    kind = "invalid_request_error"
    return _refusal({"error": {"message": message, "param": param, "code": code, "type": kind}})


def _learnt(**known: Any) -> Repair:
    return Repair(ModelData(**known))


def _without(*names: str) -> Repair:
    return Repair(without=frozenset(names))


REFUSALS: list[tuple[str, ProviderError, Repair]] = [
    (
        "the limit's other name",
        _said(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        ),
        _learnt(max_tokens_name="max_completion_tokens"),
    ),
    (
        "the limit's first name",
        _refusal(
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"],
                         "msg": "Extra inputs are not permitted"}]},
            422,
        ),
        _learnt(max_tokens_name="max_tokens"),
    ),
    (
        "a limit too high",
        _said(
            "max_tokens is too large: 100000. This model supports at most 16,384 of them.",
            "max_tokens",
        ),
        _learnt(max_output_tokens=16384),
    ),
    (
        "a limit out of a range",
        _said("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"),
        _learnt(max_output_tokens=8192),
    ),
    (
        "a limit over another",
        _said("max_tokens: 100000 > 64000, which is the maximum for this model"),
        _learnt(max_output_tokens=64000),
    ),
    (
        "a limit in backticks",
        _said("`max_tokens` must be less than or equal to `32768`"),
        _learnt(max_output_tokens=32768),
    ),
    (
        "temperature",
        _said(
            "Unsupported value: 'temperature' does not support 0.7 with this model. "
            "Only the default (1) value is supported.",
            "temperature",
            "unsupported_value",
        ),
        _learnt(sampling=False),
    ),
    (
        "temperature by its text",
        _said("`temperature` is deprecated for this model"),
        _learnt(sampling=False),
    ),
    (
        "temperature beside top_p",
        _said("`temperature` and `top_p` cannot both be specified: not supported by this model"),
        _without("top_p"),
    ),
    (
        "an effort",
        _said(
            "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. "
            "Supported values are: 'low', 'medium', and 'high'.",
            "reasoning_effort",
            "unsupported_value",
        ),
        _learnt(efforts=("low", "medium", "high")),
    ),
    (
        "an effort of few",
        _said("`reasoning_effort` must be one of `none` or `default`"),
        _learnt(efforts=("none", "default")),
    ),
    (
        "an effort of an enum",
        _refusal(
            {"detail": [{"type": "enum", "loc": ["body", "reasoning_effort"],
                         "msg": "Input should be 'high' or 'none'"}]},
            422,
        ),
        _learnt(efforts=("none", "high")),
    ),
    (
        "any effort",
        _said("Unrecognized request argument supplied: reasoning_effort"),
        _learnt(efforts=()),
    ),
    (
        "any effort, of Responses",
        _said("Unsupported parameter.", "reasoning.effort", "unsupported_parameter"),
        _learnt(efforts=()),
    ),
    ("top_k", _said("Unrecognized request argument supplied: top_k"), _without("top_k")),
    (
        "a forbidden extra",
        _refusal(
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "no"}]}, 422
        ),
        _without("top_k"),
    ),
    (
        "a penalty in camels",
        _refusal(
            {"code": "400", "error": "Argument not supported on this model: presencePenalty"}
        ),
        _without("presence_penalty", "frequency_penalty"),
    ),
    ("stop", _said("Unsupported parameter.", "stop", "unsupported_parameter"), _without("stop")),
    ("seed by another name", _said("Not supported.", "random_seed"), _without("seed")),
    (
        "parallel calls",
        _said("'parallel_tool_calls' is not supported with this model"),
        _without("parallel_tool_calls"),
    ),
    (
        "stream_options",
        _said("Unknown parameter: 'stream_options.include_usage'"),
        _without("stream_options"),
    ),
    (
        "the system role",
        _said(
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            "messages[0].role",
            "unsupported_value",
        ),
        _learnt(system_role="user"),
    ),
    (
        "the developer role",
        _said(
            "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
            "messages[0].role",
            "unsupported_value",
        ),
        _learnt(system_role="system"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "repair"), [one[1:] for one in REFUSALS], ids=[one[0] for one in REFUSALS]
)
def test_a_refusal_that_names_a_parameter_says_what_to_change(
    error: ProviderError, repair: Repair
) -> None:
    assert type(error) is ProviderInvalidRequestError
    assert repair_for(REQUEST, error) == repair
    # The same refusal again would have nothing left to be mended.
    assert repair_for(repair.applied(REQUEST), error) is None
    # Who never sent the parameter is refused for something else.
    assert repair_for(BARE, error) is None


@pytest.mark.parametrize(
    "error",
    [
        _said("Web search options not supported with this model.", "web_search_options"),
        _said("Invalid schema: 'temperature' is not permitted", "tools[0].function.parameters"),
        _said("Invalid 'temperature': expected a value <= 2", "temperature"),
        _said("The model stopped: reasoning about seed is not supported"),
        _said("This model does not support 'response_format'"),
        _said("max_tokens must be positive", "max_tokens"),
        _said("max_tokens: at most 200000", "max_tokens"),
        _said("max_tokens: at most 0", "max_tokens"),
        _said("Unsupported.", "max_output_tokens", "unsupported_parameter"),
        _refusal({"detail": [{"loc": []}]}),
        _refusal({"detail": [{"loc": "x", "msg": 1}]}),
        _refusal({"detail": ["x"]}),
        _refusal("no"),
        ProviderInvalidRequestError("no"),
        ProviderInvalidRequestError("no", raw_error={"param": 7, "code": {}}),
    ],
    ids=lambda error: str(error)[-40:],
)
def test_other_refusals_are_the_callers(error: ProviderError) -> None:
    assert repair_for(REQUEST, error) is None


def test_what_the_caller_spelled_out_is_never_dropped() -> None:
    request = ChatRequest(REQUEST.messages, "m", options={"logprobs": True})
    assert repair_for(request, _said("Not supported.", "logprobs")) is None


@pytest.mark.parametrize("kind", [ContextWindowExceededError, ModelNotFoundError])
def test_what_is_no_matter_of_parameters_is_not_mended(kind: type[ProviderError]) -> None:
    raw = {"param": "max_tokens", "code": "unsupported_parameter"}
    assert repair_for(REQUEST, kind("not supported", raw_error=raw)) is None
    assert repair_for(REQUEST, ProviderRateLimitError("slow", raw_error=raw)) is None


def test_a_mended_request_is_written_without_what_was_refused() -> None:
    repair = Repair(
        ModelData(max_tokens_name="max_completion_tokens", sampling=False, max_output_tokens=5),
        frozenset({"stop", "stream_options", "parallel_tool_calls"}),
    )
    body = json.loads(encode(repair.applied(REQUEST), Vendor("test", "http://test")).body)
    assert {name for name in body if name not in ("model", "messages")} == {
        "max_completion_tokens",
        "reasoning_effort",
        "seed",
        "stream",
    }
    assert body["max_completion_tokens"] == 5
    assert REQUEST.options == OPTIONS


def test_what_was_known_stays_known() -> None:
    known = ModelData(context_window=9, sampling=True)
    request = ChatRequest(REQUEST.messages, "m", temperature=1.0, model_data=known)
    applied = Repair(ModelData(sampling=False)).applied(request)
    assert applied.model_data == ModelData(context_window=9, sampling=False)
    assert applied.options is request.options


NAMES = st.sampled_from(
    ["temperature", "max_tokens", "stop", "messages[0].role", "reasoning_effort", "top_k", "tools"]
)
WORDS = st.lists(
    NAMES
    | st.sampled_from(["not supported", "at most", "9" * 30, "one of", "'low'", "both", "[1, 5]"]),
    max_size=6,
).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(
    WORDS,
    st.none() | NAMES | st.integers() | st.lists(st.none()),
    st.none() | WORDS | st.lists(st.dictionaries(st.just("loc"), st.lists(NAMES), max_size=1)),
)
def test_any_refusal_is_mended_once_or_not_at_all(
    message: str, param: object, detail: object
) -> None:
    raw = {"param": param, "detail": detail}
    error = ProviderInvalidRequestError(message, raw_error=raw)
    repair = repair_for(REQUEST, error)
    if repair is not None:
        assert repair.applied(REQUEST) != REQUEST
        assert repair_for(repair.applied(REQUEST), error) != repair
