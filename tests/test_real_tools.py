from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import pytest_asyncio
from pydantic import BaseModel, Field

from victor import Agent, tool
from victor.agent.events import RunResult
from victor.providers.local import LocalProvider
from victor.tool_calling.arguments import problems
from victor.tools.base import Tool
from victor.types import Message, ToolDefinition

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(weights: Path) -> AsyncIterator[LocalProvider]:
    async with LocalProvider(str(weights)) as provider:
        yield provider


# --- the right tool -------------------------------------------------------------------------------


class Unit(Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


@tool
def weather(city: str, unit: Unit = Unit.celsius) -> str:
    """Get the current weather in a city.

    Args:
        city: name of the city
        unit: of the temperature
    """
    return f"It is 21 degrees {unit.value} in {city}."


@tool
def set_timer(minutes: Annotated[int, Field(ge=1)], label: str | None = None) -> str:
    """Set a timer that rings after some minutes."""
    return f"timer {label or ''} set to {minutes} minutes"


@tool
def send_message(to: str, text: str) -> str:
    """Send a message to a person."""
    return f"sent to {to}: {text}"


TOOLS: dict[str, Tool] = {one.name: one for one in (weather, set_timer, send_message)}

REQUESTS = {
    "What is the weather in Rome?": "weather",
    "Will I need an umbrella in Dublin today?": "weather",
    "How hot is it in Cairo, in fahrenheit?": "weather",
    "Is it cold in Helsinki?": "weather",
    "Tell me the temperature in Lima": "weather",
    "Set a timer for 12 minutes": "set_timer",
    "Remind me of the cake in 40 minutes": "set_timer",
    "Start a 5 minute countdown": "set_timer",
    "Ring in an hour, please": "set_timer",
    "I need a timer called eggs for 7 minutes": "set_timer",
    "Tell Nina that I am on my way": "send_message",
    "Send Omar a message: the keys are on the table": "send_message",
    "Let my sister know that the train is late": "send_message",
    "Write to Kim that the meeting starts at two": "send_message",
    "Send Ben a message that lunch is at one": "send_message",
    "Message Eva: see you tomorrow": "send_message",
    "Hello!": None,
    "Thanks, that was helpful": None,
    "Who wrote Faust?": None,
    "How are you?": None,
}


def _called(result: RunResult) -> list[str]:
    """Return the names of the tools that were called; every call is one that can be run."""
    calls = [call for message in result.messages for call in message.tool_calls or ()]
    for call in calls:
        assert call.error is None
        assert TOOLS[call.name].problem(call.arguments) is None
    return [call.name for call in calls]


async def test_of_three_tools_the_right_one_is_called(local: LocalProvider) -> None:
    wrong: list[str] = []
    for request, expected in REQUESTS.items():
        result = await Agent(local, tools=list(TOOLS.values()), max_turns=1).run(request)
        called = _called(result)
        if called != [expected] * (expected is not None):
            wrong.append(f"{request} {expected}: {called}")
    assert len(REQUESTS) == 20
    assert len(wrong) <= 3, wrong


async def test_what_the_tool_returned_is_told(local: LocalProvider) -> None:
    agent = Agent(local, tools=list(TOOLS.values()))
    result = await agent.run("How many degrees is it in Rome?")
    assert _called(result) == ["weather"]
    assert result.stop_reason == "stop"
    assert "21" in result.content


# --- any schema -----------------------------------------------------------------------------------


class Size(Enum):
    small = 1
    large = 2


class Place(BaseModel):
    street: str
    number: int | None = None


class Person(BaseModel):
    name: str
    home: Place
    friends: list[Person] = Field(default_factory=list, max_length=1)


@dataclass
class Line:
    item: str
    count: int = 1


@dataclass
class Order:
    lines: Annotated[list[Line], Field(max_length=2)]
    size: Size = Size.small
    tags: Annotated[list[str], Field(max_length=2)] = field(default_factory=list)


@tool
def save_person(person: Person) -> str:
    """Save a person with the address."""
    return person.name


@tool
def order_goods(order: Order, urgent: bool) -> str:
    """Order goods from the warehouse."""
    return f"{order} {urgent}"


@tool
def pay(amount: float | Literal["everything"], by: Literal["card", "cash"] | None) -> str:
    """Pay the bill."""
    return f"{amount} {by}"


@tool
def shut_down() -> str:
    """Shut the machine down."""
    return "off"


def _given(name: str, description: str, parameters: dict[str, Any]) -> ToolDefinition:
    return ToolDefinition(name=name, description=description, parameters=parameters)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


KEYWORDS = _given(
    "describe",
    "Describe a thing.",
    _object(
        **{name: {"type": "string"} for name in ("type", "properties", "$ref", "enum", "null")}
    ),
)
FOREIGN = _given(
    "straße_suchen",
    "Sucht eine Straße in einer Stadt.",
    _object(größe={"enum": ["klein", "groß"]}, straße={"type": "string"}),
)
# As servers of tools write them: an older draft, references to any place, words that are no schema.
OLDER = _given(
    "plan_trip",
    "Plan a trip from one place to another.",
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"place": _object(city={"type": "string"})},
        "additionalProperties": False,
        **_object(
            start={"$ref": "#/definitions/place"},
            end={"$ref": "#/properties/start"},
            notes=True,
            seats={"type": "integer", "minimum": 1, "maximum": 4},
        ),
    },
)
UNTYPED = _given("refresh", "Refresh the page.", {})
MANY = [
    _given(f"read_sensor_{number}", f"Read sensor {number}.", _object()) for number in range(29)
]
QUOTES = 'Save a note with this text: She said "no", then\nleft the \\ room — ça va 😀'


@tool
def save_note(text: str) -> str:
    """Save a note."""
    return text


SCHEMAS: dict[str, tuple[str, list[ToolDefinition]]] = {
    "references": ("Save Ann, who lives in 5 Hill Road", [save_person.definition]),
    "nested-arrays": ("Order 3 lamps and a chair, it is urgent", [order_goods.definition]),
    "unions": ("Pay 12.50 by card", [pay.definition]),
    "no-parameters": ("Shut the machine down", [shut_down.definition]),
    "keywords-as-names": ("Describe a red ball", [KEYWORDS]),
    "not-ascii": ("Suche die große Hauptstraße", [FOREIGN]),
    "older-draft": ("Plan a trip from Bonn to Ulm for 2", [OLDER]),
    "no-schema": ("Refresh the page", [UNTYPED]),
    "quotes-and-lines": (QUOTES, [save_note.definition]),
    "thirty-tools": ("Pay 12.50 by card", [*MANY, pay.definition]),
}


@pytest.mark.parametrize(("request_text", "tools"), SCHEMAS.values(), ids=list(SCHEMAS))
async def test_whatever_the_schema_a_call_fits_it(
    local: LocalProvider, request_text: str, tools: list[ToolDefinition]
) -> None:
    message = Message(role="user", content=request_text)
    answer = await local.chat([message], model="m", temperature=0, max_tokens=160, tools=tools)
    (call,) = answer.tool_calls or []
    known = {one.name: one for one in tools}
    assert call.error is None
    assert problems(call.arguments, known[call.name].parameters) == []
    assert answer.stop_reason == "tool_calls"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_call_that_the_limit_cuts_off_is_not_run(
    local: LocalProvider, stream: bool
) -> None:
    ran: list[str] = []

    @tool
    def write_letter(text: str) -> str:
        """Write a letter of several pages."""
        ran.append(text)
        return "written"

    agent = Agent(local, tools=[write_letter], max_tokens=24, max_turns=1)
    request = "Write a long letter to the mayor about the noise in our street"
    if stream:
        events = [event async for event in agent.stream(request)]
        assert events
    else:
        await agent.run(request)
    calls = [call for message in agent.messages for call in message.tool_calls or ()]
    assert [call.name for call in calls] == ["write_letter"]
    assert all(call.error for call in calls)
    assert ran == []
