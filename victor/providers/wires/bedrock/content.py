"""Amazon Bedrock's Converse, the request: the conversation as turns of blocks.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
Messages are frozen, so each is encoded once and its bytes are kept on it: a long conversation costs
the same per turn as a short one. Knows nothing about options, tools or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from victor.errors import UnsupportedFeatureError
from victor.providers.history import own_state
from victor.providers.wires.bedrock.decode import STATE_NAME, Answer
from victor.providers.wires.bedrock.families import family_of
from victor.providers.wires.bedrock.media import media_format
from victor.providers.writing import base64_text, replayable_arguments, to_bytes
from victor.types import Attachment, JsonObject, Message, ToolCall

__all__ = ["CACHE_POINT", "Conversation"]

CACHE_POINT: JsonObject = {"cachePoint": {"type": "default"}}
_CACHE_POINT = b"," + to_bytes(CACHE_POINT)
_MARKED_TURNS = 2
_OPENING = to_bytes({"text": "(continued)"})
_NO_NAME = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_LONGEST_NAME = 180


class Conversation:
    """The turns of a conversation, as bytes.

    Args:
        messages: fit for this protocol, without the system prompts that lead it.
        provider: whose state is replayed.
        model: who is to get it; the state of a model of another family is left out.
    """

    def __init__(
        self,
        messages: Iterable[Message],
        *,
        provider: str,
        model: str,
    ) -> None:
        self.notes: tuple[str, ...] = ()
        self._provider = provider
        self._family = family_of(model)
        # Whatever the bytes of a message depend on beside itself.
        self._key = f"_bedrock {provider} {self._family.name}"
        self._names: set[str] = set()
        self._turns: list[tuple[str, list[bytes]]] = []
        for message in messages:
            if blocks := self._blocks(message):
                role = "assistant" if message.role == "assistant" else "user"
                if self._turns and self._turns[-1][0] == role:
                    self._turns[-1][1].append(blocks)
                else:
                    self._turns.append((role, [blocks]))
        if not self._turns or self._turns[0][0] != "user":
            self._turns.insert(0, ("user", [_OPENING]))
            self.notes = (
                "Bedrock wants a user's message first: one that says (continued) was put there.",
            )

    def written(self, *, marked: bool) -> bytes:
        """Return the list of messages as JSON.

        Args:
            marked: whether to mark what the next request will begin with, for the prompt cache.
        """
        left = _MARKED_TURNS if marked else 0
        turns: list[bytes] = []
        for role, blocks in reversed(self._turns):
            end = b"]}"
            if left and role == "user":
                end = _CACHE_POINT + end
                left -= 1
            turns.append(b'{"role":"%b","content":[%b%b' % (role.encode(), b",".join(blocks), end))
        return b"[" + b",".join(reversed(turns)) + b"]"

    def _blocks(self, message: Message) -> bytes:
        """Return a message's blocks, joined by commas."""
        # Kept in the instance's dict, where pydantic's own fields are, as cached_property does;
        # copies made by model_copy() start without it.
        key = self._key
        names: Sequence[str] = ()
        if message.attachments:
            names = [self._name(attachment) for attachment in message.attachments]
            key = f"{key} {names}"
        kept: bytes | None = message.__dict__.get(key)
        if kept is None:
            blocks = self._plain(message, names)
            kept = message.__dict__[key] = b",".join([to_bytes(block) for block in blocks])
        return kept

    def _plain(self, message: Message, names: Sequence[str]) -> list[JsonObject]:
        if message.role == "assistant":
            return self._replayed(message) or _said(message)
        attached = [
            _attached(attachment, name)
            for attachment, name in zip(message.attachments, names, strict=True)
        ]
        if message.role == "tool":
            return [self._result(message, attached)]
        text = message.content
        if not text.strip():
            # Documents are refused without a text beside them.
            text = "See what is attached." if attached else ""
        # In this order, as a cache point may not follow every kind of attachment.
        return attached + _texts(text)

    def _replayed(self, message: Message) -> list[JsonObject]:
        """Return an answer as it came; nothing if it did not come so, or to another family."""
        state = own_state(message, wire=STATE_NAME, provider=self._provider) or {}
        blocks, model = state.get("blocks"), state.get("model")
        if not isinstance(blocks, list) or not isinstance(model, str):
            return []
        if family_of(model).name != self._family.name:
            return []  # it could not read them, and would refuse the request
        if "".join(Answer(blocks).content) != message.content:
            return []  # somebody changed the message since
        calls = iter(message.tool_calls or ())
        replayed = list(_with_calls(blocks, calls))
        return [] if None in replayed or next(calls, None) else [one for one in replayed if one]

    def _result(self, message: Message, attached: list[JsonObject]) -> JsonObject:
        if any("audio" in block for block in attached):
            raise UnsupportedFeatureError(
                "Bedrock takes no audio in a tool's result: attach it to a user's message."
            )
        content = _texts(message.content) + attached
        result: JsonObject = {
            "toolUseId": message.tool_call_id or "",
            "content": content or [{"text": "(no output)"}],
        }
        if self._family.takes_status:
            failed = message.content.startswith("Error:")
            result["status"] = "error" if failed else "success"
        return {"toolResult": result}

    def _name(self, attachment: Attachment) -> str:
        """Return a name for a document that no other one of the conversation has."""
        if media_format(attachment)[0] != "document":
            return ""
        stem = (attachment.name or "").rpartition("/")[2]
        stem = stem.rpartition(".")[0] or stem
        stem = _NO_NAME.sub(" ", stem).strip()[:_LONGEST_NAME].strip() or "document"
        name, number = stem, 1
        while name in self._names:
            number += 1
            name = f"{stem} {number}"
        self._names.add(name)
        return name


def _with_calls(blocks: list[Any], calls: Iterator[ToolCall]) -> Iterator[JsonObject | None]:
    """Yield the blocks, with the calls as the message has them: their ids may have changed.

    None stands for a call that the message does not have.
    """
    for block in blocks:
        if not isinstance(block, dict):
            continue
        tool = block.get("toolUse")
        if isinstance(tool, dict) and tool.get("type") != "server_tool_use":
            call = next(calls, None)
            yield None if call is None else _call(call)
        elif not isinstance(block.get("text"), str) or block["text"].strip():
            yield block


def _said(message: Message) -> list[JsonObject]:
    """Return an answer without its reasoning: only what is signed is taken back."""
    return _texts(message.content) + [_call(call) for call in message.tool_calls or ()]


def _texts(text: str) -> list[JsonObject]:
    """Return a text as blocks; blank ones are refused."""
    return [{"text": text}] if text.strip() else []


def _call(call: ToolCall) -> JsonObject:
    tool = {"toolUseId": call.id, "name": call.name, "input": replayable_arguments(call)}
    return {"toolUse": tool}


def _attached(attachment: Attachment, name: str) -> JsonObject:
    kind, form = media_format(attachment)
    if attachment.data is not None:
        source: JsonObject = {"bytes": base64_text(attachment)}
    elif attachment.url and attachment.url.startswith("s3://"):
        source = {"s3Location": {"uri": attachment.url}}
    else:
        raise UnsupportedFeatureError(
            "Bedrock does not fetch addresses: pass the bytes, with "
            "`await victor.providers.attachments.fetched(attachment)`, or an s3:// address."
        )
    block: JsonObject = {"format": form, "source": source}
    return {kind: {"format": form, "name": name, "source": source} if name else block}
