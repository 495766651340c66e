"""The conversation an agent keeps: valid at every moment, whatever interrupts it.

The one rule: every tool call of an assistant message is answered by exactly one tool message, right
after it. Vendors answer 400 for ever to a history that breaks it. Knows nothing about providers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from victor.types import Attachment, Message, ToolCall

__all__ = ["Conversation"]

_INTERRUPTED = "Error: interrupted before it finished; whether it had an effect is unknown."


class Conversation:
    """The messages so far, appended to and never rewritten.

    Args:
        messages: an earlier conversation; calls without a result get one that says so, and
            results without a call are left out.
        system: the system prompt, put first unless the messages begin with one.
    """

    def __init__(self, messages: Iterable[Message] = (), *, system: str | None = None) -> None:
        self._messages: list[Message] = []
        self._ids: set[str] = set()
        self._open: dict[str, ToolCall] = {}
        messages = list(messages)
        if system and not (messages and messages[0].role == "system"):
            self._messages.append(Message(role="system", content=system))
        self._adopt(messages)
        self.close_calls()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> Sequence[Message]:
        """All messages; do not change the list."""
        return self._messages

    def add_user(self, message: Message) -> None:
        """Add what the user says."""
        self.close_calls()
        self._messages.append(message)

    def add_assistant(self, message: Message) -> Message:
        """Add the model's message and return it as kept: call ids are made unique."""
        self.close_calls()
        if message.tool_calls:
            message = self._with_own_ids(message)
            self._open = {call.id: call for call in message.tool_calls or ()}
        self._messages.append(message)
        return message

    def add_result(
        self, call: ToolCall, content: str, attachments: Sequence[Attachment] = ()
    ) -> None:
        """Add the result of one open call."""
        del self._open[call.id]
        self._messages.append(
            Message(
                role="tool",
                content=content,
                tool_call_id=call.id,
                name=call.name,
                attachments=list(attachments),
            )
        )

    def close_calls(self) -> None:
        """Answer every call that is still open as interrupted."""
        for call in list(self._open.values()):
            self.add_result(call, _INTERRUPTED)

    def hide_attachments(self, note: str) -> bool:
        """Take the files out of the newest results, or else out of all; a note takes their place.

        Returns:
            Whether there were any.
        """
        results = [(at, one) for at, one in enumerate(self._messages) if one.role == "tool"]
        found = [(at, one) for at, one in results if one.attachments]
        # Those that nobody has answered yet: no earlier request had them.
        last = len(self._messages) - 1
        while last >= 0 and self._messages[last].role == "tool":
            last -= 1
        for at, one in [(at, one) for at, one in found if at > last] or found:
            text = f"{one.content}\n{note}".strip()
            self._messages[at] = one.model_copy(update={"content": text, "attachments": []})
        return bool(found)

    def forget_since(self, length: int) -> None:
        """Drop what came after a length; for a prompt that never got an answer."""
        del self._messages[length:]
        self._open = {}

    def _with_own_ids(self, message: Message) -> Message:
        given = message.tool_calls or []
        calls = [self._with_own_id(call) for call in given]
        if all(own is call for own, call in zip(calls, given, strict=True)):
            return message
        return message.model_copy(update={"tool_calls": calls})

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        name = call.id or "call"
        number = len(self._ids)
        while name in self._ids:
            # Servers that count from zero in every answer would pair results with old calls.
            number += 1
            name = f"{call.id or 'call'}_{number}"
        self._ids.add(name)
        return call if name == call.id else call.model_copy(update={"id": name})

    def _adopt(self, messages: Iterable[Message]) -> None:
        # The calls of the last assistant message, each with the id by which results name it.
        asked: list[tuple[str, ToolCall]] = []
        for message in messages:
            match message.role:
                case "assistant":
                    given = message.tool_calls or ()
                    kept = self.add_assistant(message).tool_calls or ()
                    asked = [(old.id, own) for old, own in zip(given, kept, strict=True)]
                case "tool":
                    named = (own for old, own in asked if old == message.tool_call_id)
                    call = next((own for own in named if own.id in self._open), None)
                    if call is not None:
                        del self._open[call.id]
                        self._messages.append(_answering(message, call))
                case _:
                    self.add_user(message)


def _answering(result: Message, call: ToolCall) -> Message:
    if result.tool_call_id == call.id:
        return result
    return result.model_copy(update={"tool_call_id": call.id})
