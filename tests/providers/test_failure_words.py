from __future__ import annotations

import json
from typing import Any

import pytest

from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
)
from victor.providers.failure_words import BY_CODE, BY_STATUS, BY_TEXT
from victor.providers.failures import error_from_response


def kind(status: int, message: str, code: str = "invalid_request_error") -> type[ProviderError]:
    body: Any = {"error": {"message": message, "code": code}}
    return type(error_from_response(status, {}, json.dumps(body).encode(), provider="acme"))


@pytest.mark.parametrize(
    ("vendor", "status", "message", "expected"),
    [
        ("TGI", 422, "`inputs` must have less than 4096 tokens.", ContextWindowExceededError),
        (
            "TGI",
            400,
            "`inputs` tokens + `max_new_tokens` must be <= 9",
            ContextWindowExceededError,
        ),
        (
            "LM Studio",
            400,
            "the model is loaded with context length of only 9",
            ContextWindowExceededError,
        ),
        (
            "LM Studio",
            400,
            "what to keep is greater than the context length",
            ContextWindowExceededError,
        ),
        (
            "Moonshot",
            400,
            "Your request exceeded model token limit: 9",
            ContextWindowExceededError,
        ),
        ("Z.ai", 400, "Prompt exceeds max length", ContextWindowExceededError),
        (
            "Qwen",
            400,
            "Range of input length should be [1, 9]",
            ContextWindowExceededError,
        ),
        ("Z.ai", 400, "Unknown Model, please check it", ModelNotFoundError),
        ("OpenRouter", 404, "No endpoints found for acme/x:free.", ModelNotFoundError),
        ("OpenRouter", 404, "No endpoints found that support tool use.", ModelNotFoundError),
        ("NVIDIA", 404, "Function '3b': Not found for account 'a'", ModelNotFoundError),
        ("xAI", 403, "Your team doesn't have any credits yet.", ProviderQuotaError),
        ("xAI", 429, "Your team has used all available credits", ProviderQuotaError),
        (
            "Anthropic",
            400,
            "You have reached your specified API usage limits.",
            ProviderQuotaError,
        ),
        ("Anthropic", 400, "Output blocked by content filtering policy", ContentFilterError),
        ("DeepSeek", 400, "Content Exists Risk", ContentFilterError),
        ("xAI", 403, "Content violates usage guidelines.", ContentFilterError),
        ("Z.ai", 400, "potentially unsafe or sensitive content", ContentFilterError),
        (
            "OpenAI",
            400,
            "it was flagged as potentially violating our usage policy",
            ContentFilterError,
        ),
        (
            "Google",
            400,
            "User location is not supported for the API use.",
            ProviderPermissionError,
        ),
        # what only sounds like one of these
        ("OpenAI", 400, "max_tokens is too large: 9999999", ProviderInvalidRequestError),
        ("OpenRouter", 429, "Add 10 credits to unlock more", ProviderRateLimitError),
        ("FastAPI", 404, "Not found", ProviderInvalidRequestError),
    ],
)
def test_what_a_vendor_says_counts_where_its_code_does_not(
    vendor: str, status: int, message: str, expected: type[ProviderError]
) -> None:
    assert kind(status, message) is expected, vendor


def test_codes_of_single_vendors_are_known() -> None:
    assert kind(400, "It may be inappropriate.", "data_inspection_failed") is ContentFilterError
    assert kind(400, "Is your account in good standing?", "Arrearage") is ProviderQuotaError


def test_an_outage_stays_one_whatever_its_text_quotes() -> None:
    for pattern, _ in BY_TEXT:
        for status in (500, 502, 503):
            body = json.dumps({"error": {"message": pattern.pattern}}).encode()
            error = error_from_response(status, {}, body, provider="acme")
            assert type(error) is BY_STATUS.get(status, type(error))
            assert not isinstance(error, ProviderInvalidRequestError | ContentFilterError)


def test_codes_are_written_as_they_are_looked_up() -> None:
    assert all(code == code.lower().strip() for code in BY_CODE)
