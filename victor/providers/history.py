"""A conversation made fit for a protocol: whole, in order, with ids the target accepts.

Any conversation can move from any provider to any other. Pure and deterministic: the same history
gives the same messages, so that encoded bytes and the vendor's prompt cache stay valid; messages
that need no change are the same objects, and changed ones are made once. Knows no protocol, only
the rules it is given; does not merge roles, place system prompts or read anybody's state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_128
from typing import Any

from victor.types import Message, ToolCall

__all__ = ["HistoryRules", "Prepared", "own_state", "prepared"]

_CACHE_KEY = "_fit_for_history"
_MOST_VARIANTS = 64
_DIGITS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NOT_RUN = (
    "Error: this call was not run, or its result was lost; whether it had an effect is unknown."
)


@dataclass(frozen=True, slots=True)
class HistoryRules:
    """What a protocol demands of a conversation."""

    wire: str
    """Its key in `Message.provider_state`."""
    call_id: re.Pattern[str] | None = None
    """What a tool call's id has to look like; others are mapped. None: any id will do."""
    call_id_length: int = 24
    """How long made-up ids are; they are letters and digits."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A conversation that is fit to be encoded."""

    messages: Sequence[Message]
    notes: tuple[str, ...] = ()
    """What was changed or will be left out, one sentence each."""


def prepared(messages: Sequence[Message], rules: HistoryRules, *, provider: str) -> Prepared:
    """Make a conversation fit for a protocol.

    Afterwards every tool call of an assistant message has a name, an id of its own that the rules
    accept, and exactly one tool message, which bears its id and its name; these stand right after
    the assistant message, in the order of the calls. No message is blank, except results and what
    this provider keeps state about. What was there stays readable: a result whose call is nowhere
    becomes a quotation in a user message, a second result is joined to the first.

    A message whose ids were changed keeps its `provider_state`: a wire that replays calls from its
    state has to take their ids from `tool_calls`, by position.

    Args:
        messages: any conversation, however broken.
        rules: what the protocol demands.
        provider: who is to get it; the state of others is left out by the wire.

    Returns:
        The same sequence where nothing had to be changed, else a new one. Appending whole turns
        changes nothing before them. The notes name only what is lost or was made up.
    """
    foreign: dict[tuple[str, object], None] = {}
    notes: tuple[str, ...] = ()
    if not _is_fit(messages, rules, provider, foreign):
        repair = _Repair(rules, provider, foreign)
        for message in messages:
            repair.add(message)
        messages, notes = repair.result()
    if foreign:
        notes = (*(_left_out(wire, writer) for wire, writer in foreign), *notes)
    return Prepared(messages, notes)


def own_state(message: Message, *, wire: str, provider: str) -> Mapping[str, Any] | None:
    """Return what this provider's wire wrote about a message, if it is its own."""
    states = message.provider_state
    state = states.get(wire) if states else None
    # A dict, as JSON is: asking for any Mapping costs ten times as much, for every message.
    if isinstance(state, dict) and state.get("provider") == provider:
        return state
    return None


def _is_fit(
    messages: Sequence[Message],
    rules: HistoryRules,
    provider: str,
    foreign: dict[tuple[str, object], None],
) -> bool:
    """Tell whether nothing has to be changed, and note whose state will be left out.

    The path of nearly every request: a handful of look-ups per message.
    """
    wire, accepts = rules.wire, _accepts(rules)
    ids: set[str] = set()
    waiting: list[ToolCall] = []
    for message in messages:
        if message.role == "tool":
            if not waiting:
                return False
            call = waiting.pop()
            if message.tool_call_id != call.id or message.name != call.name:
                return False
            continue
        if waiting:
            return False
        if message.provider_state and own_state(message, wire=wire, provider=provider) is None:
            _note_foreign(message, foreign)
        if message.tool_calls and message.role == "assistant":
            waiting = message.tool_calls[::-1]
            if not _are_fit(waiting, ids, accepts):
                return False
        elif message.content[:1].strip() == "" and _is_blank(message, rules, provider):
            return False
    return not waiting


def _are_fit(calls: Sequence[ToolCall], ids: set[str], accepts: Callable[[str], object]) -> bool:
    for call in calls:
        if not call.name or call.id in ids or not accepts(call.id):
            return False
        ids.add(call.id)
    return True


def _accepts(rules: HistoryRules) -> Callable[[str], object]:
    return bool if rules.call_id is None else rules.call_id.fullmatch


def _is_blank(message: Message, rules: HistoryRules, provider: str) -> bool:
    """Tell whether a message without calls has nothing to send."""
    if message.attachments or message.content.strip():
        return False
    return message.role != "assistant" or not _owns(message, rules.wire, provider)


def _owns(message: Message, wire: str, provider: str) -> bool:
    return own_state(message, wire=wire, provider=provider) is not None


def _note_foreign(message: Message, foreign: dict[tuple[str, object], None]) -> None:
    for wire, state in (message.provider_state or {}).items():
        writer = state.get("provider") if isinstance(state, dict) else None
        foreign[wire, writer if isinstance(writer, str) else None] = None


def _left_out(wire: str, writer: object) -> str:
    return f"What only {writer or wire} can read ({wire}), such as signed reasoning, is left out."


class _Turn:
    """An assistant message with calls, and the results that were found for them."""

    __slots__ = ("calls", "ids", "is_open", "message", "results")

    def __init__(self, message: Message, calls: list[ToolCall], ids: list[str]) -> None:
        self.message = message
        self.calls = calls
        self.ids = ids
        self.results: list[list[Message]] = [[] for _ in calls]
        self.is_open = True
        """Whether nothing but results has come since."""

    def slots(self, call_id: str) -> list[int]:
        """Return which calls had an id; with none, all."""
        return [n for n, call in enumerate(self.calls) if not call_id or call.id == call_id]


class _Repair:
    """Puts a conversation together anew, message by message."""

    def __init__(
        self, rules: HistoryRules, provider: str, foreign: dict[tuple[str, object], None]
    ) -> None:
        self._rules = rules
        self._provider = provider
        self._accepts = _accepts(rules)
        self._foreign = foreign
        self._notes: dict[str, None] = {}
        self._entries: list[Message | _Turn] = []
        self._ids: set[str] = set()
        self._times: dict[str, int] = {}
        # The latest turn with a call of that id: servers that count from zero use ids again.
        self._askers: dict[str, _Turn] = {}
        self._turn: _Turn | None = None

    def add(self, message: Message) -> None:
        """Take the next message of the conversation."""
        if message.role == "tool":
            self._add_result(message)
            return
        if self._turn is not None:
            self._turn.is_open = False
        if message.provider_state and not _owns(message, self._rules.wire, self._provider):
            _note_foreign(message, self._foreign)
        if message.role == "assistant" and message.tool_calls:
            calls = [call for call in message.tool_calls if call.name]
            if calls:
                self._add_turn(message, calls)
                return
            self._note("Tool calls without a name are left out.")
            message = _kept(message, "no calls", lambda: _with(message, tool_calls=None))
        if not _is_blank(message, self._rules, self._provider):
            self._entries.append(message)
        elif message.reasoning:
            self._note("Reasoning that led to no answer is left out.")

    def result(self) -> tuple[list[Message], tuple[str, ...]]:
        """Return the whole conversation, and what is lost or made up in it."""
        found: list[Message] = []
        for entry in self._entries:
            if isinstance(entry, _Turn):
                found.append(self._asking(entry))
                found += [self._answer(entry, slot) for slot in range(len(entry.calls))]
            else:
                found.append(entry)
        return found, tuple(self._notes)

    def _add_turn(self, message: Message, calls: list[ToolCall]) -> None:
        self._turn = _Turn(message, calls, [self._own_id(call.id) for call in calls])
        for call in calls:
            self._askers[call.id] = self._turn
        self._entries.append(self._turn)

    def _own_id(self, given: str) -> str:
        times = self._times.get(given, 0)
        self._times[given] = times + 1
        own = given
        while own in self._ids or (own == given and not self._accepts(own)):
            own = _made_up(given, times, self._rules.call_id_length)
            times += 1
        self._ids.add(own)
        return own

    def _add_result(self, result: Message) -> None:
        given = result.tool_call_id or ""
        turn = self._askers.get(given) if given else self._turn
        slots = turn.slots(given) if turn is not None else []
        if turn is None or not slots:
            self._quote(result)
            return
        free = [slot for slot in slots if not turn.results[slot]]
        named = [slot for slot in free if turn.calls[slot].name == result.name]
        # Without an id only the name, or else the order, says which call was answered.
        if named or (free and (given or not result.name)):
            turn.results[(named or free)[0]].append(result)
        elif given and turn.is_open:
            turn.results[slots[0]].append(result)
        else:
            # Joining it to an old result would change what was sent long ago.
            self._quote(result)

    def _quote(self, result: Message) -> None:
        if not result.attachments and not result.content.strip():
            return
        self._note("Tool results that stand apart from their call are sent as quotations.")
        what = f"the tool {result.name}" if result.name else "a tool"
        text = f"[Not from the user: a result of {what} that stands apart from its call.]\n"
        self._entries.append(
            _kept(
                result,
                "quoted",
                lambda: Message(
                    role="user", content=text + result.content, attachments=result.attachments
                ),
            )
        )

    def _asking(self, turn: _Turn) -> Message:
        message, calls, ids = turn.message, turn.calls, turn.ids
        given = message.tool_calls or []
        if len(calls) < len(given):
            self._note("Tool calls without a name are left out.")
        elif all(call.id == own for call, own in zip(calls, ids, strict=True)):
            return message
        return _kept(
            message,
            ("ids", *ids),
            lambda: _with(
                message,
                tool_calls=[
                    call if call.id == own else call.model_copy(update={"id": own})
                    for call, own in zip(calls, ids, strict=True)
                ],
            ),
        )

    def _answer(self, turn: _Turn, slot: int) -> Message:
        own, name, results = turn.ids[slot], turn.calls[slot].name, turn.results[slot]
        if not results:
            self._note("Tool calls without a result get one that says so.")
            return _kept(
                turn.message,
                ("result", own, name),
                lambda: Message(role="tool", content=_NOT_RUN, tool_call_id=own, name=name),
            )
        first = results[0]
        if len(results) == 1:
            if first.tool_call_id == own and first.name == name:
                return first
            change = {"tool_call_id": own, "name": name}
            return _kept(first, (own, name), lambda: _with(first, **change))
        # Each thing once: some servers and clients repeat a result word by word.
        texts = tuple(dict.fromkeys(result.content for result in results if result.content))
        files = tuple(dict.fromkeys(one for result in results for one in result.attachments))
        joined = {"content": "\n\n".join(texts), "attachments": list(files)}
        return _kept(
            first,
            (own, name, texts, files),
            lambda: _with(first, tool_call_id=own, name=name, **joined),
        )

    def _note(self, text: str) -> None:
        self._notes[text] = None


def _with(message: Message, **fields: Any) -> Message:
    return message.model_copy(update=fields)


def _kept(message: Message, change: object, make: Callable[[], Message]) -> Message:
    """Return a changed message, made once: a wire keeps the bytes it made of it on it."""
    made: dict[object, Message] = message.__dict__.setdefault(_CACHE_KEY, {})
    found = made.get(change)
    if found is None:
        if len(made) >= _MOST_VARIANTS:
            made.clear()
        found = made[change] = make()
    return found


@lru_cache(maxsize=4096)
def _made_up(given: str, times: int, length: int) -> str:
    """Return the id that stands for another; the same one in every process and on every turn."""
    digest = shake_128(f"{times} {given}".encode("utf-8", "surrogatepass")).digest(length)
    return "".join([_DIGITS[byte % len(_DIGITS)] for byte in digest])
