"""The values that cross every layer: messages, tool calls, answers, stream chunks.

One vocabulary for all protocols. Knows nothing about any vendor's spelling of it.

Values are frozen: a conversation is a list of values, so that encoded messages can be cached and
history can be shared. Change one with `message.model_copy(update={...})`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from victor.schema import describe

__all__ = [
    "Attachment",
    "Attempt",
    "Capabilities",
    "Capability",
    "CompletionResponse",
    "Embeddings",
    "JsonObject",
    "Message",
    "Role",
    "StreamChunk",
    "ToolCall",
    "ToolDefinition",
    "ToolExample",
    "Usage",
    "parse_arguments",
]

JsonObject: TypeAlias = dict[str, Any]
"""A decoded JSON object."""

_M = TypeVar("_M", bound=BaseModel)

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


def _new_call_id() -> str:
    return "call_" + secrets.token_hex(8)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=False)


class Attachment(_Value):
    """An image or a document that goes with a user's message.

    Exactly one of `data` and `url` is set. A URL is handed to the vendor as it is; only
    `victor.providers.attachments.fetched` turns one into bytes, when asked to.
    """

    # As JSON, `data` is base64: bytes in general are no text.
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    media_type: str
    """MIME type, such as `"image/png"`."""
    data: bytes | None = None
    """The bytes themselves."""
    url: str | None = None
    """An `https:` address the vendor can read."""
    name: str | None = None
    """File name, where one is known."""

    @model_validator(mode="after")
    def _one_source(self) -> Attachment:
        if (self.data is None) == (self.url is None):
            raise ValueError("an attachment has either data or url")
        return self

    @classmethod
    def from_source(
        cls,
        source: str | os.PathLike[str] | bytes,
        *,
        media_type: str | None = None,
        name: str | None = None,
        max_bytes: int = 20 * 1024 * 1024,
    ) -> Self:
        """Make an attachment of a file, an address or bytes.

        Args:
            source: the path of a file, where `~` is the home directory; an http(s) address, which
                is kept and not fetched; a `data:` URI; or the bytes themselves.
            media_type: None: what the first bytes prove, else what the name's ending says.
            name: the name to tell the vendor; None: that of the path or the address.
            max_bytes: how long the data may be, 20 MiB by default; no more is read.

        Raises:
            ConfigError: the file is missing, unreadable, empty, too long, or no regular file; the
                address has credentials; or nothing says what kind of file it is.
            TypeError: the source is of none of these types.
        """
        from victor.media import found_file

        found = found_file(source, media_type=media_type, name=name, max_bytes=max_bytes)
        return cls(media_type=found.media_type, data=found.data, url=found.url, name=found.name)


class ToolCall(_Value):
    """A model's wish to run a tool.

    Also accepts OpenAI's nesting, `{"id", "function": {"name", "arguments"}}`. Arguments that do
    not parse are kept in `raw_arguments` with `error` set; such a call is never executed.
    """

    id: str = Field(default_factory=_new_call_id)
    """Joins the call to its result; made up where the vendor sends none."""
    name: str
    arguments: JsonObject = Field(default_factory=dict)
    raw_arguments: str | None = None
    """The text the model wrote; set where it did not parse, or where the bytes matter."""
    error: str | None = None
    """Why the arguments cannot be used; None for a good call."""

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        if isinstance(value.get("function"), Mapping):
            value = {"id": value.get("id"), **value["function"]}
        # Null and blank are how servers spell what is not there.
        missing = {key for key in ("id", "arguments") if value.get(key) in (None, "")}
        value = {key: item for key, item in value.items() if key not in missing}
        if isinstance(value.get("arguments"), str):
            return {**value, **parse_arguments(value["arguments"])}
        return value


def parse_arguments(text: str | None) -> JsonObject:
    """Read the arguments a model wrote as JSON text.

    Args:
        text: the JSON; None and blank text mean no arguments.

    Returns:
        The fields of a `ToolCall`: `arguments`, and where the text is not one JSON object also
        `raw_arguments` and `error`.
    """
    if text is None or not text.strip():
        return {"arguments": {}}
    # Rust's parser: bounded depth, no lone surrogates, no endless integers.
    from pydantic_core import from_json

    try:
        raw = text.encode("utf-8", "surrogatepass")
        value = from_json(raw, allow_inf_nan=False)
        if raw.count(b"{") + raw.count(b"[") > 90:  # a message is kept as JSON, some levels up
            from_json(b"[" * 90 + raw + b"]" * 90)
    except ValueError as error:
        why = f"the arguments are not valid JSON: {error}"
    else:
        if value is None:
            return {"arguments": {}}
        if isinstance(value, dict):
            return {"arguments": value}
        why = f"the arguments are a JSON {type(value).__name__}, not an object"
    return {"arguments": {}, "raw_arguments": text, "error": why}


class ToolExample(_Value):
    """A request and the arguments it calls for."""

    request: str
    arguments: JsonObject = Field(default_factory=dict)


class ToolDefinition(_Value):
    """What a model is told about a tool.

    `parameters` is a JSON Schema of type `object` (https://json-schema.org/draft/2020-12).
    """

    name: str
    description: str = ""
    parameters: JsonObject = Field(default_factory=lambda: {"type": "object", "properties": {}})
    examples: tuple[ToolExample, ...] = ()
    """Shown to models that are taught tools by prompt; APIs with native calls never see them."""

    @property
    def input_schema(self) -> JsonObject:
        """The same object as `parameters`, under the name some vendors use."""
        return self.parameters

    @classmethod
    def from_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
    ) -> ToolDefinition:
        """Describe a Python function: its signature is the schema, its docstring the text.

        Args:
            function: any callable with annotated parameters; a docstring's `Args:` describe them.
            name: instead of the function's own name.
            description: instead of the docstring's first paragraph.

        Raises:
            TypeError: a parameter's annotation has no JSON Schema, or the function takes
                positional-only parameters or `*args`.
        """
        found = describe(function)
        return cls(
            name=name or found.name,
            description=found.description if description is None else description,
            parameters=found.parameters,
        )


class Message(_Value):
    """One entry of a conversation."""

    role: Role
    content: str = ""
    name: str | None = None
    """The tool's name in a tool result; elsewhere the speaker's, where a vendor takes one."""
    tool_calls: list[ToolCall] | None = None
    """What an assistant message asks for."""
    tool_call_id: str | None = None
    """In a tool result: the id of the call it answers."""
    attachments: list[Attachment] = Field(default_factory=list)
    reasoning: str | None = None
    """The thinking that came with an assistant message."""
    provider_state: JsonObject | None = None
    """A vendor's own, opaque and lossless, keyed by wire name; a wire reads only its own key."""

    @field_validator("content", mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        return "" if value is None else value

    def __copy__(self) -> Self:
        return _forgetting(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return _forgetting(super().__deepcopy__(memo))


def _forgetting(copied: _M) -> _M:
    # A wire keeps what it made of a message in the message's dict. model_copy() changes the copy
    # afterwards, so nothing that was made of the original may go along.
    for name in copied.__dict__.keys() - type(copied).model_fields.keys():
        del copied.__dict__[name]
    return copied


class Usage(_Value):
    """Tokens of one call. What the server did not say is None, never 0.

    `prompt_tokens` includes cached tokens and cache writes; `completion_tokens` includes reasoning.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        """Sum two usages; a figure is None only where both sides do not know it."""

        def plus(a: int | None, b: int | None) -> int | None:
            return b if a is None else a if b is None else a + b

        return Usage(
            prompt_tokens=plus(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=plus(self.completion_tokens, other.completion_tokens),
            total_tokens=plus(self.total_tokens, other.total_tokens),
            cached_tokens=plus(self.cached_tokens, other.cached_tokens),
            cache_write_tokens=plus(self.cache_write_tokens, other.cache_write_tokens),
            reasoning_tokens=plus(self.reasoning_tokens, other.reasoning_tokens),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a call, for the record in `CompletionResponse.attempts`."""

    provider: str
    model: str | None
    seconds: float
    """How long the try took."""
    error: str | None = None
    """Type and message of its failure; None for the try that succeeded."""


class CompletionResponse(_Value):
    """A whole answer of a model, or of a stream put together."""

    content: str = ""
    role: Role = "assistant"
    tool_calls: list[ToolCall] | None = None
    stop_reason: str | None = None
    """Built-in providers: stop, tool_calls, length, content_filter, error or other."""
    usage: Usage | None = None
    model: str | None = None
    reasoning: str | None = None
    provider_state: JsonObject | None = None
    raw_response: Any = None
    """The decoded body, as the vendor sent it."""
    attempts: tuple[Attempt, ...] = ()

    @field_validator("content", mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        return "" if value is None else value

    def to_message(self) -> Message:
        """Return the answer as the assistant message that goes into the history."""
        return Message(
            role="assistant",
            content=self.content,
            tool_calls=self.tool_calls or None,
            reasoning=self.reasoning,
            provider_state=self.provider_state,
        )


class Embeddings(_Value):
    """The vectors of some texts, in the order of the texts."""

    vectors: list[list[float]]
    model: str | None = None
    usage: Usage | None = None


@dataclass(slots=True)
class StreamChunk:
    """A piece of a streamed answer.

    Exactly one chunk is final; it is the last, and it carries the complete tool calls, the stop
    reason and the usage. A plain slotted dataclass: one is made per token.
    """

    content: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    is_final: bool = False
    provider_state: JsonObject | None = None
    """As in `Message`; only on the final chunk."""
    model: str | None = None
    """The model that answered; only on the final chunk."""
    tool_call_delta: str = ""
    """Raw text of a tool call under way, as a sign of life; the final chunk has the call itself."""
    attempts: tuple[Attempt, ...] = ()
    """Every try it took, the last one included; only on the final chunk."""

    def __post_init__(self) -> None:
        # Authors may pass dicts; validation returns what is a value already as it is.
        if self.tool_calls is not None:
            self.tool_calls = [ToolCall.model_validate(call) for call in self.tool_calls]
        if self.usage is not None:
            self.usage = Usage.model_validate(self.usage)


class Capability(StrEnum):
    """What a provider or model may be able to do. Members compare equal to their strings."""

    STREAMING = "streaming"
    TOOLS = "tools"
    PARALLEL_TOOLS = "parallel_tools"
    VISION = "vision"
    REASONING = "reasoning"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model at one endpoint can do."""

    supported: frozenset[Capability] = frozenset()
    context_window: int | None = None
    """Tokens of prompt and answer together; None where unknown."""
    max_output_tokens: int | None = None
    tool_mode: Literal["native", "constrained", "none"] = "native"
    """How tools reach the model: by the API's own calls, or as a constrained JSON object."""
    source: str = "default"
    """Where this was learnt: default, data or endpoint."""
    models: Sequence[str] = field(default=())
    """Model names the endpoint lists, where it was asked."""

    def __contains__(self, capability: object) -> bool:
        """Tell whether a capability, by member or by string, is supported."""
        return capability in self.supported
