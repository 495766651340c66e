"""The vendors victor knows: one row each. Data, and nothing but data.

A vendor is a row here; a protocol is a file in `victor/providers/wires`. Knows nothing about HTTP
or keys' values; it only names the variables in which users keep them.

Addresses, variables and default models are as the vendors' documentation had them in November 2026.
Not here: Replicate, whose API runs "predictions" with an input schema of each model's own, without
messages or tool calls (https://replicate.com/docs/reference/http).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

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
    """False for servers on one's own machine, and where a cloud's credentials do."""
    wire: WireName = "openai-chat"
    wire_elsewhere: WireName | None = None
    """The protocol at any host but the vendor's own: servers that imitate it speak an older one."""
    auth: AuthName = "bearer"
    places: tuple[Place, ...] = ()
    express_url: str | None = None
    """Where a key alone is enough, and a part of `base_url` is not known."""
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
    """Options it refuses, and `strict` (schemas) and `long_ids` (of calls, over 40 characters)."""
    about: str = ""
    """One line for `victor providers`."""

    def at(self, address: str) -> Vendor:
        """Return the row as it holds at an address: at a stranger's, with its `wire_elsewhere`."""
        if self.wire_elsewhere is None or _host(address).endswith(_host(self.base_url or "")):
            return self
        return replace(self, wire=self.wire_elsewhere, wire_elsewhere=None)


def _host(address: str) -> str:
    # With the dot, "eu.api.openai.com" is of the house and "notapi.openai.com" is not.
    return f".{urlsplit(address).hostname or ''}"


_ROWS = (
    # Chat completions at api.openai.com refuse tools with models from GPT-5.4 on, unless these are
    # told not to think, and an agent always has tools; so Responses there. What imitates OpenAI
    # elsewhere speaks chat completions. https://developers.openai.com/api/docs/guides/migrate-to-responses
    Vendor(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-6.1-terra",
        "text-embedding-3-small",
        wire="openai-responses",
        wire_elsewhere="openai-chat",
        url_variables=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        max_tokens_name="max_completion_tokens",
        lacks=("top_k", "long_ids"),
        about="OpenAI: Responses, and chat completions where base_url is somebody else's",
    ),
    Vendor(
        "anthropic",
        "https://api.anthropic.com",
        ("ANTHROPIC_API_KEY", "CLAUDE_API_KEY"),
        "claude-sonnet-5-5",
        wire="anthropic",
        auth="x-api-key",
        url_variables=("ANTHROPIC_BASE_URL",),
        about="Anthropic Messages",
    ),
    Vendor(
        "google",
        "https://generativelanguage.googleapis.com/v1beta",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
        "gemini-3.8-flash",
        "gemini-embedding-001",
        wire="gemini",
        auth="x-goog-api-key",
        about="Gemini, the Developer API",
    ),
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "mistral-medium-latest",
        "mistral-embed",
        stream_options=False,
        mistral=True,
        lacks=("top_k",),
    ),
    Vendor(
        "cohere",
        "https://api.cohere.com",
        ("CO_API_KEY", "COHERE_API_KEY"),
        "command-a-plus-05-2026",
        "embed-v4.0",
        wire="cohere",
        about="Cohere v2",
    ),
    Vendor(
        "groq",
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        "openai/gpt-oss-120b",
        strict_fields=True,
        reasoning_name="reasoning",
        lacks=("top_k",),
    ),
    Vendor(
        "deepseek",
        "https://api.deepseek.com/v1",
        ("DEEPSEEK_API_KEY",),
        "deepseek-v4-flash",
        effort="thinking",
        lacks=("strict",),
    ),
    Vendor("xai", "https://api.x.ai/v1", ("XAI_API_KEY", "GROK_API_KEY"), "grok-4.7"),
    Vendor(
        "openrouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY", "OPENROUTER_KEY", "OR_API_KEY"),
        "openrouter/auto",
        effort="reasoning",
        reasoning_name="reasoning",
        about="many vendors behind one key",
    ),
    Vendor(
        "together",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY"),
        "openai/gpt-oss-120b",
        reasoning_name="reasoning",
    ),
    Vendor(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY"),
        "accounts/fireworks/models/glm-5p3-flash",
    ),
    Vendor(
        "cerebras",
        "https://api.cerebras.ai/v1",
        ("CEREBRAS_API_KEY",),
        "gpt-oss-120b",
        strict_fields=True,
        reasoning_name="reasoning",
        lacks=("top_k", "frequency_penalty", "presence_penalty"),
    ),
    Vendor(
        "moonshot",
        "https://api.moonshot.ai/v1",
        ("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY", "KIMI_API_KEY"),
        "kimi-k3",
        effort="thinking",
        lacks=("strict",),
        about="Kimi",
    ),
    Vendor(
        "zai",
        "https://api.z.ai/api/paas/v4",
        ("ZAI_API_KEY", "Z_AI_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY"),
        "glm-5.3",
        effort="thinking",
        about="GLM",
    ),
    Vendor(
        "qwen",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY", "QWEN_API_KEY", "ALIBABA_API_KEY"),
        "qwen3.8-flash",
        "text-embedding-v4",
        effort="enable_thinking",
        about="Alibaba's DashScope, the international one",
    ),
    Vendor(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        ("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
        "openai/gpt-oss-120b",
    ),
    Vendor(
        "sambanova",
        "https://api.sambanova.ai/v1",
        ("SAMBANOVA_API_KEY",),
        "gpt-oss-120b",
        effort="chat_template_kwargs",
    ),
    Vendor(
        "perplexity",
        "https://api.perplexity.ai",
        ("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY", "PPLX_API_KEY"),
        "sonar-pro",
        alternating=True,
        lacks=("parallel_tool_calls", "seed", "strict"),
        about="answers from the web; its own models take no tools",
    ),
    Vendor(
        "huggingface",
        "https://router.huggingface.co/v1",
        ("HF_TOKEN", "HUGGINGFACE_API_KEY", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN"),
        "openai/gpt-oss-120b",
        about="many vendors behind one token",
    ),
    # Not GITHUB_TOKEN: it is set for other things nearly everywhere.
    Vendor(
        "github-models",
        "https://models.github.ai/inference",
        ("GITHUB_MODELS_TOKEN", "GITHUB_MODELS_API_KEY"),
        lacks=("top_k", "long_ids"),
        about="closed by GitHub on 2026-07-30; Azure has its models",
    ),
    # From here on nothing is chosen because a key is set: an address or a place is needed, too.
    Vendor(
        "azure",
        None,
        ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        auth="api-key",
        url_variables=("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"),
        azure=True,
        max_tokens_name="max_completion_tokens",
        lacks=("top_k", "long_ids"),
        about="Azure OpenAI and Foundry; a model is the name of a deployment",
    ),
    Vendor(
        "bedrock",
        "https://bedrock-runtime.{region}.amazonaws.com",
        ("AWS_BEARER_TOKEN_BEDROCK",),
        "global.anthropic.claude-sonnet-5-5",
        needs_key=False,
        wire="bedrock",
        auth="aws",
        places=(Place("region", ("AWS_REGION", "AWS_DEFAULT_REGION"), "us-east-1"),),
        url_variables=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME",),
        about="Amazon Bedrock Converse; without a key, AWS credentials sign",
    ),
    Vendor(
        "vertex",
        "https://{location}-aiplatform.googleapis.com"
        "/v1/projects/{project}/locations/{location}/publishers/google",
        ("GOOGLE_VERTEX_API_KEY", "VERTEX_API_KEY"),
        "gemini-3.8-flash",
        needs_key=False,
        wire="gemini",
        auth="google",
        places=(
            Place("project", ("GOOGLE_CLOUD_PROJECT", "VERTEXAI_PROJECT", "VERTEX_PROJECT")),
            Place(
                "location",
                ("GOOGLE_CLOUD_LOCATION", "VERTEXAI_LOCATION", "VERTEX_LOCATION"),
                "global",
            ),
        ),
        express_url="https://aiplatform.googleapis.com/v1/publishers/google",
        about="Gemini on Google Cloud; without a key, Google's credentials sign",
    ),
    Vendor(
        "ollama",
        "http://127.0.0.1:11434",
        ("OLLAMA_API_KEY",),
        needs_key=False,
        wire="ollama",
        url_variables=("OLLAMA_HOST",),
        about="a running Ollama",
    ),
    Vendor(
        "lmstudio",
        "http://127.0.0.1:1234/v1",
        ("LMSTUDIO_API_KEY", "LM_STUDIO_API_KEY"),
        needs_key=False,
        about="a running LM Studio",
    ),
    Vendor(
        "vllm",
        "http://127.0.0.1:8000/v1",
        ("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"),
        needs_key=False,
        effort="chat_template_kwargs",
        reasoning_name="reasoning",
        about="a running vLLM",
    ),
    Vendor(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        ("LLAMACPP_API_KEY",),
        needs_key=False,
        effort="chat_template_kwargs",
        about="a running llama.cpp server",
    ),
    Vendor(
        "openai-chat",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-5.4-mini",
        "text-embedding-3-small",
        max_tokens_name="max_completion_tokens",
        lacks=("top_k",),
        about="OpenAI over chat completions whatever the address",
    ),
    Vendor(
        "openai-responses",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-6.1-terra",
        "text-embedding-3-small",
        wire="openai-responses",
        about="OpenAI over Responses whatever the address",
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
