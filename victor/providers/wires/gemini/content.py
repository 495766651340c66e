"""Gemini's `contents`: what a conversation becomes, message by message.

Spec: https://ai.google.dev/api/caching#Content
Roles are `user` and `model` only. The results of one step's calls are a content of their own, in
the order of the calls: Vertex compares the numbers of both; the user's words follow in the next.
Messages are frozen, so each is encoded once and its bytes are kept on it. Knows nothing about the
rest of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from victor.errors import UnsupportedFeatureError
from victor.providers.history import own_state
from victor.providers.wires.gemini.state import SIGNATURE, WIRE, replayed
from victor.providers.writing import base64_text, replayable_arguments, to_bytes
from victor.types import Attachment, JsonObject, Message

__all__ = ["SKIP_SIGNATURE", "Contents", "write"]

SKIP_SIGNATURE = "skip_thought_signature_validator"
"""What Google's documentation gives for calls that another model made, which have no signature."""

_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
    }
)
_MEDIA_TYPES = ("image/", "audio/", "video/", "text/")
_BEGINNING = "(The beginning of this conversation was left out.)"


@dataclass(frozen=True, slots=True)
class Contents:
    """A conversation, written."""

    system: tuple[str, ...]
    """The system prompts, wherever they stood: Gemini takes them apart from the conversation."""
    contents: bytes
    """A JSON array."""
    notes: tuple[str, ...]


class _Answer(NamedTuple):
    """An assistant's message: its parts, joined by commas."""

    parts: bytes
    ids: frozenset[str] = frozenset()
    """Of the calls that Gemini gave an id, which their results have to repeat."""
    skips: bool = False
    """Whether its calls go without the signature that the model asks for."""


def write(messages: Sequence[Message], *, provider: str, newest: bool) -> Contents:
    """Write a conversation.

    Args:
        messages: as `history.prepared` leaves them.
        provider: whose state of the messages counts.
        newest: whether the model is of Gemini 3 or later: it refuses calls without a signature, and
            takes media within a tool's result.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind that Gemini cannot be given.
    """
    writer, groups = _Writer(provider, newest=newest), _Groups()
    system: list[str] = []
    ids: frozenset[str] = frozenset()
    skips = 0
    for message in messages:
        if message.role == "system":
            system.append(message.content)
        elif message.role == "tool":
            groups.add("result", writer.result(message, has_id=message.tool_call_id in ids))
            if message.attachments and not newest:
                groups.later.append(writer.shown(message))
        elif message.role == "assistant":
            found = writer.answer(message)
            groups.add("model", found.parts)
            ids, skips = found.ids, skips + found.skips
        else:
            groups.add("user", writer.words(message))
    return Contents(tuple(system), groups.joined(), _notes(skips, groups))


class _Writer:
    """Writes messages, each once.

    What is made is kept in the instance's dict, where pydantic's own fields are, as cached_property
    does; copies made by model_copy() start without it.
    """

    def __init__(self, provider: str, *, newest: bool) -> None:
        self._provider = provider
        self._newest = newest
        self._key = f"_gemini {provider} {newest}"

    def words(self, message: Message) -> bytes:
        """Write a user's message."""
        kept: bytes | None = message.__dict__.get(self._key)
        if kept is None:
            kept = message.__dict__[self._key] = _parts([*_text(message), *_media(message)])
        return kept

    def answer(self, message: Message) -> _Answer:
        """Write an assistant's message."""
        kept: _Answer | None = message.__dict__.get(self._key)
        if kept is None:
            kept = message.__dict__[self._key] = self._answer(message)
        return kept

    def _answer(self, message: Message) -> _Answer:
        state = own_state(message, wire=WIRE, provider=self._provider)
        parts = replayed(state, message) if state else None
        if parts is None:
            parts = _text(message)
            for call in message.tool_calls or ():
                told = {"name": call.name, "args": replayable_arguments(call)}
                parts.append({"functionCall": told})
        calls = [part for part in parts if "functionCall" in part]
        # Of parallel calls only the first has to be signed.
        skips = self._newest and bool(calls) and SIGNATURE not in calls[0]
        if skips:
            calls[0][SIGNATURE] = SKIP_SIGNATURE
        ids = frozenset(part["functionCall"].get("id") for part in calls)
        return _Answer(_parts(parts), ids - {None}, skips)

    def result(self, message: Message, *, has_id: bool) -> bytes:
        """Write a tool's result."""
        key = f"{self._key} {has_id}"
        kept: bytes | None = message.__dict__.get(key)
        if kept is None:
            # Both keys mean something: https://ai.google.dev/api/caching#FunctionResponse
            what = "error" if message.content.startswith("Error:") else "output"
            response: JsonObject = {
                "name": message.name or "unknown",
                "response": {what: message.content},
            }
            if has_id:
                response["id"] = message.tool_call_id
            if self._newest and message.attachments:
                response["parts"] = _media(message)
            kept = message.__dict__[key] = _parts([{"functionResponse": response}])
        return kept

    def shown(self, message: Message) -> bytes:
        """Write what came with a tool's result, as words of the user."""
        key = f"{self._key} shown"
        kept: bytes | None = message.__dict__.get(key)
        if kept is None:
            told = {"text": f"What the tool {message.name or 'unknown'} returned with its result:"}
            kept = message.__dict__[key] = _parts([told, *_media(message)])
        return kept


class _Groups:
    """Parts, gathered into contents."""

    def __init__(self) -> None:
        self._found: list[tuple[str, list[bytes]]] = []
        self.later: list[bytes] = []
        """What may only follow once all results of a step are there."""
        self.is_begun = False
        """Whether a first content had to be made up."""

    def add(self, role: str, parts: bytes) -> None:
        if role != "result" and self.later:
            later, self.later = self.later, []
            for one in later:
                self.add("user", one)
        if not parts:
            return
        if role == "model" and not self._found:
            self.is_begun = True
            self.add("user", to_bytes({"text": _BEGINNING}))
        if self._found and self._found[-1][0] == role:
            self._found[-1][1].append(parts)
        else:
            self._found.append((role, [parts]))

    def joined(self) -> bytes:
        self.add("user", b"")
        contents = [
            b'{"role":"%b","parts":[%b]}'
            % (b"model" if role == "model" else b"user", b",".join(parts))
            for role, parts in self._found
        ]
        return b"[%b]" % b",".join(contents)


def _notes(skips: int, groups: _Groups) -> tuple[str, ...]:
    notes = []
    if skips:
        notes.append(
            f"The thinking behind the tool calls of {skips} earlier answer(s) is not Gemini's or "
            f"was lost: Gemini is told not to look for its signatures there."
        )
    if groups.is_begun:
        notes.append("The conversation began with an answer: a user's turn was put before it.")
    return tuple(notes)


def _parts(parts: Sequence[JsonObject]) -> bytes:
    return to_bytes(parts)[1:-1]


def _text(message: Message) -> list[JsonObject]:
    return [{"text": message.content}] if message.content else []


def _media(message: Message) -> list[JsonObject]:
    return [_medium(attachment) for attachment in message.attachments]


def _medium(attachment: Attachment) -> JsonObject:
    media_type = attachment.media_type
    if attachment.url is not None:
        # Cloud Storage, the Files API, YouTube and other public addresses alike.
        if not attachment.url.startswith(("https://", "gs://")):
            raise UnsupportedFeatureError(
                f"Gemini reads {media_type} from https: and gs: addresses only: pass the bytes "
                f"(await fetched(attachment), from victor.providers.attachments)."
            )
        return {"fileData": {"mimeType": media_type, "fileUri": attachment.url}}
    if media_type in _TEXT_TYPES or media_type.endswith(("+json", "+xml")):
        media_type = "text/plain"  # as itself it is refused
    if not media_type.startswith(_MEDIA_TYPES) and media_type != "application/pdf":
        raise UnsupportedFeatureError(
            f"Gemini cannot be given {media_type}: put its text in a message, or pass a PDF."
        )
    return {"inlineData": {"mimeType": media_type, "data": base64_text(attachment)}}
