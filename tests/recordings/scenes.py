"""The conversations that are held with a real server, to record it and to test it live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.recordings.real import CONTEXT_WINDOW, MODEL
from victor.providers.request import ChatRequest
from victor.types import Message, ToolCall, ToolDefinition

__all__ = ["AREA", "CITY_SCHEMA", "SCENES", "WEATHER", "Scene", "asked_about_paris"]

CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}
_PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = ToolDefinition(
    name="get_weather", description="Get the weather of a city.", parameters=_PLACE
)
AREA = ToolDefinition(
    name="get_area", description="Get the area of a city in square kilometres.", parameters=_PLACE
)


@dataclass(frozen=True)
class Scene:
    """One request, and whether its answer is streamed."""

    messages: tuple[Message, ...]
    max_tokens: int = 24
    tools: tuple[ToolDefinition, ...] = ()
    stream: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> ChatRequest:
        return ChatRequest(
            self.messages,
            MODEL,
            temperature=0,
            max_tokens=self.max_tokens,
            tools=self.tools or None,
            stream=self.stream,
            options=self.options,
        )


def _user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def asked_about_paris(call_id: str = "call_1") -> tuple[Message, ...]:
    """Return a conversation in which a tool was called and has answered."""
    call = ToolCall(id=call_id, name="get_weather", arguments={"city": "Paris"})
    return (
        *_user("What is the weather in Paris?"),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", tool_call_id=call_id, name="get_weather", content="17 degrees"),
    )


_CAPITAL = _user("What is the capital of France? One word.")
_COUNT = _user("Count from one to five in English words, separated by blanks.")
_WEATHER = _user("What is the weather in Paris?")
_AREA = _user("What is the area of Paris?")
_TOO_LONG = _user("a " * (CONTEXT_WINDOW + 20))
_FORCED = {"tool_choice": "required"}
_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY_SCHEMA}}

SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        "chat": Scene(_CAPITAL),
        "stream": Scene(_COUNT, stream=True),
        "call": Scene(_WEATHER, tools=(WEATHER,), options=_FORCED),
        "call-stream": Scene(_WEATHER, tools=(WEATHER,), options=_FORCED, stream=True),
        "named-call": Scene(_AREA, tools=(WEATHER, AREA), options={"tool_choice": "get_area"}),
        "result": Scene(asked_about_paris(), tools=(WEATHER,), options={"tool_choice": "none"}),
        "stopped": Scene(_COUNT, options={"stop": ["Four"]}),
        "length": Scene(_COUNT, max_tokens=3),
        "schema": Scene(_user("Name a city in Spain."), options={"response_format": _SCHEMA}),
        "too-long": Scene(_TOO_LONG),
        "too-long-stream": Scene(_TOO_LONG, stream=True),
    }
)
