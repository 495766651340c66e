"""The vendors victor knows: one row each. Data, and nothing but data.

A vendor is a row here; a protocol is a file in `victor/providers/wires`. Knows nothing about HTTP
or keys' values; it only names the variables in which users keep them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = ["DEFAULT_PROVIDER", "VENDORS", "AuthName", "EffortName", "Place", "Vendor", "WireName"]

DEFAULT_PROVIDER = "local"
"""The embedded model: what is used when nobody has a key."""


WireName: TypeAlias = Literal[
    "anthropic",
    "bedrock",
    "cohere",
    "gemini",
    "ollama",
    "openai-chat",
    "openai-responses",
]
"""The protocols victor speaks; each is a folder in `victor/providers/wires`."""

EffortName: TypeAlias = Literal[
    "reasoning_effort", "reasoning", "thinking", "enable_thinking", "chat_template_kwargs"
]
"""The parameter by which a vendor of OpenAI's chat completions takes the effort of reasoning."""

AuthName: TypeAlias = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "aws", "google"]
"""How a request proves who sends it: a header with the key, AWS's signature, or Google's token."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part of an address that differs between users, such as `{region}`."""

    name: str
    variables: tuple[str, ...]
    """Environment variables that may hold it."""
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """How to reach one vendor."""

    name: str
    base_url: str | None
    """Without a trailing slash; None where the user has to give one. `{names}` are `places`."""
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold the key, the vendor's own name first."""
    default_model: str | None = None
    embedding_model: str | None = None
    """What `embed` uses where no model is named."""
    needs_key: bool = True
    """False for servers on one's own machine."""
    wire: WireName = "openai-chat"
    auth: AuthName = "bearer"
    places: tuple[Place, ...] = ()
    url_variables: tuple[str, ...] = ()
    """Environment variables that may hold the whole base URL."""
    azure: bool = False
    """Addresses by deployment, with an `api-version`, unless they are under `/openai/v1`."""
    tool_mode: Literal["native", "constrained"] = "native"
    """How models behind it are given tools unless the model's own data say otherwise."""
    stream_options: bool = True
    """Whether `stream_options.include_usage` is understood."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The parameter that caps the answer, unless the model's own data say otherwise."""
    strict_fields: bool = False
    """Whether unknown fields in messages are refused."""
    effort: EffortName = "reasoning_effort"
    """How OpenAI's chat completions are told how much to think (`thinking` is DeepSeek's)."""
    reasoning_name: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    """The field of a message in which earlier reasoning is sent back."""
    mistral: bool = False
    """Mistral's rules: ids of nine characters, `any`, `random_seed`, no user right after a tool."""
    alternating: bool = False
    """Whether turns have to alternate, so that messages of one role in a row are sent as one."""
    lacks: tuple[str, ...] = ()
    """Options it refuses, such as `top_k`: left out. `strict` stands for strict output schemas."""
    about: str = ""
    """One line for `victor providers`."""


_ROWS = (
    Vendor(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-5-mini",
        max_tokens_name="max_completion_tokens",
        about="OpenAI chat completions",
    ),
    Vendor("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), "openai/gpt-oss-120b"),
    Vendor("deepseek", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",), "deepseek-chat"),
    Vendor("xai", "https://api.x.ai/v1", ("XAI_API_KEY", "GROK_API_KEY"), "grok-4"),
    Vendor(
        "openrouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY", "OPENROUTER_KEY"),
        "openrouter/auto",
        about="many vendors behind one key",
    ),
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "mistral-medium-latest",
        stream_options=False,
    ),
    Vendor(
        "together",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        "openai/gpt-oss-120b",
    ),
    Vendor(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
        "accounts/fireworks/models/gpt-oss-120b",
    ),
    Vendor("cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), "gpt-oss-120b"),
    Vendor(
        "moonshot", "https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",), "kimi-k2-turbo-preview"
    ),
    Vendor(
        "nvidia", "https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY",), "openai/gpt-oss-120b"
    ),
    Vendor(
        "huggingface",
        "https://router.huggingface.co/v1",
        ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        "openai/gpt-oss-120b",
    ),
    Vendor("sambanova", "https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",), "gpt-oss-120b"),
    Vendor(
        "ollama",
        "http://127.0.0.1:11434/v1",
        ("OLLAMA_API_KEY",),
        needs_key=False,
        about="a running Ollama",
    ),
    Vendor(
        "lmstudio",
        "http://127.0.0.1:1234/v1",
        ("LMSTUDIO_API_KEY",),
        needs_key=False,
        about="a running LM Studio",
    ),
    Vendor(
        "vllm",
        "http://127.0.0.1:8000/v1",
        ("VLLM_API_KEY",),
        needs_key=False,
        about="a running vLLM",
    ),
    Vendor(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        ("LLAMACPP_API_KEY",),
        needs_key=False,
        about="a running llama.cpp server",
    ),
    Vendor(
        "openai-compatible",
        None,
        ("OPENAI_COMPATIBLE_API_KEY",),
        needs_key=False,
        about="any server that speaks OpenAI chat completions; needs base_url",
    ),
)

VENDORS: MappingProxyType[str, Vendor] = MappingProxyType({row.name: row for row in _ROWS})
"""All rows by name, in the order in which `victor` looks for a key."""
