"""The words with which LLM APIs name a failure, and the errors they stand for. Data.

Codes are exact and stand in a body's `code`, `type`, `status` or `error_type`, or in a header;
texts are searched last, as they may quote the prompt. Knows nothing about bodies or statuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
)

__all__ = ["BY_CODE", "BY_STATUS", "BY_TEXT"]

BY_STATUS: Mapping[int, type[ProviderError]] = MappingProxyType(
    {
        401: ProviderAuthError,
        402: ProviderQuotaError,
        403: ProviderPermissionError,
        404: ModelNotFoundError,
        407: ProviderError,  # a proxy's, and no answer of the vendor's at all
        408: ProviderTimeoutError,
        424: ProviderServerError,  # Bedrock: the model behind the endpoint failed
        425: ProviderOverloadedError,
        429: ProviderRateLimitError,
        498: ProviderOverloadedError,  # Groq: no capacity
        503: ProviderOverloadedError,
        504: ProviderTimeoutError,
        529: ProviderOverloadedError,
    }
)

_KINDS: Mapping[type[ProviderError], str] = MappingProxyType(
    {
        ProviderQuotaError: "insufficient_quota credit_balance_exhausted billing_error"
        " organization_spend_limit_exceeded project_spend_limit_exceeded billing_not_active"
        " organization_usage_limit_exceeded billing_hard_limit_reached access_terminated"
        " enforced_spend_limit_reached servicequotaexceededexception exceeded_current_quota_error"
        " arrearage",
        ContextWindowExceededError: "context_length_exceeded exceed_context_size_error"
        " request_too_large too_many_prompt_tokens too_many_tokens string_above_max_length"
        " context_window_exceeded model_context_window_exceeded prompt_too_long",
        ContentFilterError: "content_filter content_policy_violation responsibleaipolicyviolation"
        " contentfilter content_filtered moderation_error"
        " image_content_policy_violation data_inspection_failed",
        ModelNotFoundError: "model_not_found deploymentnotfound invalid_model"
        " resourcenotfoundexception model_not_supported model_not_available",
        ProviderAuthError: "invalid_api_key api_key_invalid authentication_error unauthenticated"
        " unrecognizedclientexception expiredtokenexception invalidsignatureexception"
        " incompletesignatureexception missingauthenticationtokenexception api_key_expired"
        " invalid_authentication_error token_expired api_key_service_blocked"
        " invalidclienttokenid unauthorized",
        ProviderPermissionError: "permission_error permission_denied accessdeniedexception"
        " accessdenied forbidden permission_denied_error",
        ProviderInvalidResponseError: "tool_use_failed",
        ProviderRateLimitError: "rate_limit_exceeded rate_limit_error throttlingexception"
        " resource_exhausted ratelimitreached rate_limit_reached too_many_requests"
        " rate_limit_reached_error ratelimitexceeded",
        ProviderOverloadedError: "overloaded_error provider_unavailable unavailable overloaded"
        " serviceunavailableexception modelnotreadyexception engine_overloaded"
        " engine_overloaded_error unavailable_error capacity_exceeded",
        ProviderTimeoutError: "timeout_error deadline_exceeded modeltimeoutexception timeout"
        " request_timeout",
        ProviderServerError: "server_error api_error internal_server_error internal_error internal"
        " internalserverexception internalfailure modelstreamerrorexception modelerrorexception"
        " service_error upstream_error",
        ProviderInvalidRequestError: "invalid_request_error validationexception invalid_argument"
        " failed_precondition bad_request invalid_prompt invalid_parameter_error"
        " unsupported_parameter unsupported_value out_of_range",
    }
)
BY_CODE: Mapping[str, type[ProviderError]] = MappingProxyType(
    {code: kind for kind, codes in _KINDS.items() for code in codes.split()}
)
"""Lower-case codes."""


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# Sent with a plain 400 and a generic code by one vendor or another.
BY_TEXT: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = (
    (
        _any_of(
            r"maximum context length",
            r"context window",
            r"(exceed\w*|larger than|beyond|above) .{0,40}context size",
            r"(prompt|input) is too long",
            r"prompt too long",
            r"too many (input )?tokens",
            r"input tokens exceeded",
            r"exceeds the maximum number of tokens",
            r"exceed context limit",
            r"token limit reached",
            r"longer than the model's context",
            r"longer than the maximum model length",
            r"(exceeds|(longer|greater) than) the context length",
            r"exceed(ed|s)? (the )?model('s)? token limit",
            r"prompt exceeds max",
            r"range of input length should be",
            r"inputs` tokens \+ `max_new_tokens` must be",
            r"must have less than \d+ tokens",
            r"loaded with context length of only",
            r"current length is \d+ while limit",
            r"exceed(ed|s)? (the )?(model('s)? )?max(imum)? (context|input|prompt|model len)",
            r"exceed model maximum",
            r"maximum (allowed )?(input|prompt) (length|tokens)",
        ),
        ContextWindowExceededError,
    ),
    (
        _any_of(
            r"(incorrect|invalid) api.?key",
            r"api key (not valid|expired|not found)",
            r"security token .{0,40}(invalid|expired)",
        ),
        ProviderAuthError,
    ),
    (
        _any_of(
            r"credit balance is too low",
            r"insufficient (balance|credits)",
            r"(doesn't have any|used all available) credits",
            r"reached your specified api usage limits",
        ),
        ProviderQuotaError,
    ),
    (
        _any_of(
            r"content exists risk",
            r"content violates usage guidelines",
            r"blocked by content filtering policy",
            r"flagged as potentially violating our usage policy",
            r"unsafe or sensitive content",
        ),
        ContentFilterError,
    ),
    (_any_of(r"user location is not supported"), ProviderPermissionError),
    (
        _any_of(
            r"model .{0,80}(does not exist|not found|was removed|has been deprecated)",
            r"model identifier is invalid",
            r"is not a valid model id",
            r"supported (api )?model names are",
            r"invalid model (name|id)",
            r"(no such|unknown) model",
            r"no endpoints found (for|that support)",
            r"function .{0,60}: not found for account",
        ),
        ModelNotFoundError,
    ),
    # Cohere, for a call that its own model wrote.
    (_any_of(r"invalid tool generation"), ProviderInvalidResponseError),
)
"""In the order in which they are tried."""
