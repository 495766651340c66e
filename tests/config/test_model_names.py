from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.model_names import is_like, normalised


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4.5"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3.5-sonnet"),
        ("anthropic/claude-opus-4.5", "claude-opus-4.5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("claude-3-7-sonnet-latest", "claude-3.7-sonnet"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-20250514-v1:0",
            "claude-sonnet-4",
        ),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("publishers/google/models/gemini-3-flash-preview", "gemini-3-flash-preview"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("gpt-oss:20b", "gpt-oss-20b"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("gpt-5.2-2025-12-11", "gpt-5.2"),
        ("gpt-4-1106-preview", "gpt-4-1106-preview"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x1", "gpt-4o-mini-2024-07-18-acme-x1"),
        ("accounts/fireworks/models/glm-5p3", "glm-5.3"),
        ("accounts/fireworks/models/llama-v3p3-70b-instruct", "llama-3.3-70b-instruct"),
        ("us.meta.llama3-3-70b-instruct-v1:0", "llama-3.3-70b-instruct"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("meta-llama/llama-3-8b-instruct", "llama-3-8b-instruct"),
        ("llama3.2:1b", "llama-3.2-1b"),
        ("us.deepseek.r1-v1:0", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek-3.1"),
        ("deepseek.v3-v1:0", "deepseek-3"),
        ("zai-glm-4.7", "glm-4.7"),
        ("zai-org/GLM-4.6-FP8", "glm-4.6"),
        ("grok-4-1-fast-reasoning", "grok-4.1-fast-reasoning"),
        ("qwen3:8b-q4_K_M", "qwen-3-8b"),
        ("Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8", "qwen-3-coder-480b-a35b-instruct"),
        ("qwen2.5-coder-7b-instruct-q4_k_m.gguf", "qwen-2.5-coder-7b-instruct"),
        ("qwen/qwen3-coder:free", "qwen-3-coder"),
        ("phi4:latest", "phi-4"),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", "nemotron-nano-9b-v2"),
        ("global.amazon.nova-2-lite-v1:0", "nova-2-lite"),
        ("mistral.mistral-large-2402-v1:0", "mistral-large-2402"),
        ("my-own-model", "my-own-model"),
        ("", ""),
        ("/", "/"),
    ],
)
def test_a_name_is_the_same_whoever_serves_it(written: str, name: str) -> None:
    assert normalised(written) == name


@pytest.mark.parametrize(
    ("model", "pattern", "fits"),
    [
        ("gpt-4o-2024-05-13", "gpt-4o", True),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", True),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13", False),
        ("gpt-4o", "gpt-4o-2024-05-13", False),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4o-mini", "gpt-4o*", True),
        ("openai/GPT-4o", "GPT-4o", True),
        ("gpt-5-2025-08-07", "gpt-5.2*", False),
        ("claude-opus-4-20250514", "claude-opus-4.2*", False),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5", True),
        ("Qwen/Qwen3-32B", "qwen3*", True),
        ("Qwen/Qwen3-32B", "*qwen3*", True),
        ("grok-4.20-0309-non-reasoning", "grok-*non-reasoning*", True),
        ("mylab/large-2", "mylab/*", True),
        ("other/large-2", "mylab/*", False),
        ("mylab/large-2", "mylab/large", False),
        ("mylab/large-2", "large-?", True),
        ("anything", "*", True),
        ("", "*", True),
    ],
)
def test_a_pattern_holds_for_the_names_a_person_would_expect(
    model: str, pattern: str, fits: bool
) -> None:
    assert is_like(model, pattern) is fits


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="az09-.:@/vp*?[]_", max_size=30))
def test_any_name_has_a_form_that_stays(name: str) -> None:
    found = normalised(name)
    assert found == found.lower()
    assert is_like(name, "*")
    if not set(name) & set("*?["):
        assert is_like(name, name)
