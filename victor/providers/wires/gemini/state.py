"""What of an answer's parts has to go back to Gemini exactly as it came: written, and read again.

Spec: https://ai.google.dev/gemini-api/docs/thought-signatures
Signatures belong to the part they came with, and parts must not be joined or moved. The state says
only what the message does not: a text is its length (a slice of the content, or of the reasoning),
a call is its place in the order of the calls; everything else is kept as it is. Knows nothing about
requests or answers as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from victor.providers.writing import replayable_arguments
from victor.types import JsonObject, Message

__all__ = ["SIGNATURE", "WIRE", "Parts", "replayed"]

WIRE = "gemini"
SIGNATURE = "thoughtSignature"
_OF_CALLS = frozenset({"name", "args", "partialArgs", "willContinue"})
_OURS = ("text", "functionCall")
_MEDIA = ("inlineData", "fileData")


class Parts:
    """The parts of one answer, noted as they come."""

    def __init__(self) -> None:
        self.plain = 0
        """Characters of answer text since the last noted part; also counted by the stream."""
        self._noted: list[JsonObject] = []
        self._call: JsonObject | None = None
        self._is_needed = False
        self._has_content = False

    @property
    def has_content(self) -> bool:
        """Whether any text or media came that are no thoughts."""
        return self._has_content or self.plain > 0

    def add_text(self, part: Mapping[str, Any], text: str) -> None:
        """Note a text; consecutive ones that say nothing else are one."""
        if len(part) == 1:
            self.plain += len(text)
            return
        is_thought = part.get("thought") is True
        self._has_content |= bool(text) and not is_thought
        noted = _rest(part, "text")
        is_signed = bool(noted.keys() - {"thought"})
        if not text and not is_signed:
            return
        self._flush()
        last = self._noted[-1] if self._noted else {}
        if not is_signed and set(last) == {*noted, "text"}:
            last["text"] += len(text)
            return
        self._is_needed |= is_signed
        self._noted.append({**noted, "text": len(text)})

    def add_call(self, part: Mapping[str, Any], call: Mapping[str, Any], *, begins: bool) -> None:
        """Note a call where it begins; a signature that comes with its rest belongs to it, too."""
        noted = _rest(part, "functionCall")
        if begins:
            self._flush()
            own = {key: value for key, value in call.items() if key not in _OF_CALLS and value}
            self._call = {**noted, "functionCall": own}
            self._noted.append(self._call)
            self._is_needed |= bool(own)
        elif self._call is not None:
            self._call.update(noted)
        self._is_needed |= bool(noted)

    def add_other(self, part: Mapping[str, Any]) -> None:
        """Note a part of another kind, such as code that ran at the server, or an image."""
        # A text or a call that is none says nothing, and would be taken for one of ours later.
        noted = {key: value for key, value in part.items() if key not in _OURS}
        if not noted:
            return
        self._flush()
        self._noted.append(noted)
        self._is_needed = True
        if part.get("thought") is not True:
            self._has_content |= any(name in part for name in _MEDIA)

    def _flush(self) -> None:
        if not self.plain:
            return
        self._has_content = True
        # Text after a call would come before it if only the message were known.
        self._is_needed |= self._call is not None
        last = self._noted[-1] if self._noted else {}
        if set(last) == {"text"}:
            last["text"] += self.plain
        else:
            self._noted.append({"text": self.plain})
        self.plain = 0

    def state(self, provider: str) -> JsonObject | None:
        """Return what goes into the message; None where the message says it all."""
        self._flush()
        if not self._is_needed:
            return None
        return {WIRE: {"provider": provider, "parts": self._noted}}


def _rest(part: Mapping[str, Any], name: str) -> JsonObject:
    return {key: value for key, value in part.items() if key != name and value}


def replayed(state: Mapping[str, Any], message: Message) -> list[JsonObject] | None:
    """Return the parts of an answer as they came; None if the message is another one by now."""
    parts = state.get("parts")
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        return None
    reasoning = message.reasoning or ""
    if _length(parts, thoughts=False) != len(message.content):
        return None
    if _length(parts, thoughts=True) != len(reasoning):
        # Thoughts are not needed, unlike the signatures, which are rarely on them.
        parts = [part for part in parts if not _is_thought(part)]
    calls = iter(message.tool_calls or ())
    at = {True: 0, False: 0}
    found: list[JsonObject] = []
    for part in parts:
        own, length = part.get("functionCall"), part.get("text")
        if isinstance(own, Mapping):
            call = next(calls, None)
            if call is None:
                return None
            now = {**own, "name": call.name, "args": replayable_arguments(call)}
            if "id" in own:
                now["id"] = call.id  # the history may have had to change it
            found.append({**part, "functionCall": now})
        elif isinstance(length, int):
            kind = _is_thought(part)
            start, at[kind] = at[kind], at[kind] + length
            whole = reasoning if kind else message.content
            found.append({**part, "text": whole[start : at[kind]]})
        else:
            found.append(dict(part))
    return found if next(calls, None) is None else None


def _is_thought(part: Mapping[str, Any]) -> bool:
    return part.get("thought") is True


def _length(parts: list[Mapping[str, Any]], *, thoughts: bool) -> int:
    lengths = (part.get("text") for part in parts if _is_thought(part) is thoughts)
    return sum(length for length in lengths if isinstance(length, int))
