"""What is known about models: how long their window is, which parameters they take, what they cost.

Data with one rule: every row whose pattern matches a model says what it knows, later rows over
earlier ones. Knows nothing about endpoints; what an endpoint says about itself is merged by the
provider.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

__all__ = ["UNKNOWN_MODEL", "ModelData", "model_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelData:
    """What is known about one model. None is what nobody said."""

    context_window: int | None = None
    """Tokens of prompt and answer together."""
    max_output_tokens: int | None = None
    tool_mode: Literal["native", "constrained", "none"] | None = None
    tool_format: str | None = None
    """The text format in which the model's family writes calls where its server does not parse."""
    parallel_tools: bool | None = None
    vision: bool | None = None
    documents: bool | None = None
    """Whether it reads PDFs."""
    json_schema: bool | None = None
    """Whether answers can be held to a schema."""
    reasoning: bool | None = None
    sampling: bool | None = None
    """Whether `temperature`, `top_p` and penalties are accepted."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] | None = None
    system_role: Literal["system", "developer", "user"] | None = None
    """The role in which a system prompt is sent; `user` where the model takes none."""
    efforts: tuple[str, ...] | None = None
    """The values of `reasoning_effort` it takes, weakest first; empty where it takes none."""
    thinking: Literal["adaptive", "budget", "level"] | None = None
    """How a protocol of its vendor spells the effort: by itself, in tokens, or as a level."""
    echo_reasoning: bool | None = None
    """Whether the reasoning of earlier turns has to be sent back."""
    think_tags: bool | None = None
    """Whether it writes its reasoning as `<think>` into the answer where nobody parses it."""
    starts_in_reasoning: bool | None = None
    """Whether its template opens the tag, so that only the closing one is written."""
    input_price: float | None = None
    """USD per million tokens, like the other prices."""
    output_price: float | None = None
    cached_price: float | None = None
    cache_write_price: float | None = None
    priced_on: str | None = None
    """The day the prices were looked up, as YYYY-MM-DD."""

    def over(self, below: ModelData) -> ModelData:
        """Return what `below` knows, with what this one knows over it."""
        known = {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) is not None
        }
        return replace(below, **known)


UNKNOWN_MODEL = ModelData()


def model_data(provider: str, model: str) -> ModelData:
    """Return what is known about a model of a provider."""
    if provider == "openai" and model.startswith(("gpt-5", "o1", "o3", "o4")):
        return ModelData(sampling=False)
    return UNKNOWN_MODEL
