"""OpenAI chat completions, the order of a conversation, where a vendor or a model is particular.

Spec: https://platform.openai.com/docs/api-reference/chat/create
Works on messages, before any is written, and knows nothing about how they are. Deterministic, and
made messages are kept on those they are made of, so that their bytes are written once, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from victor.types import Message, Role

__all__ = ["alternated", "attachments_apart", "bridged", "folded"]

_BARE = "_openai_chat_bare"


def attachments_apart(messages: Sequence[Message]) -> list[Message]:
    """Move what is attached to tool results into user messages right after the run of results.

    The protocol's results are text only, and nothing may stand between those of one turn.
    """
    found: list[Message] = []
    shown: list[Message] = []
    for message in messages:
        if message.role != "tool":
            found += shown
            shown.clear()
        elif message.attachments:
            message, after = _apart(message)  # noqa: PLW2901 - the result without its attachments
            shown.append(after)
        found.append(message)
    return found + shown


def _apart(result: Message) -> tuple[Message, Message]:
    kept: tuple[Message, Message] | None = result.__dict__.get(_BARE)
    if kept is None:
        text = result.content or "See what is attached in the next message."
        bare = result.model_copy(update={"attachments": [], "content": text})
        whose = result.name or "the tool"
        after = Message(
            role="user",
            content=f"Attached to the result of {whose} ({result.tool_call_id}):",
            attachments=result.attachments,
        )
        kept = result.__dict__[_BARE] = (bare, after)
    return kept


def folded(messages: Sequence[Message]) -> list[Message]:
    """Put system messages into the next user message, for models that take none."""
    found: list[Message] = []
    waiting: list[Message] = []
    for message in messages:
        if message.role == "system":
            waiting.append(message)
            continue
        if waiting and message.role == "user":
            message = _joined([*waiting, message], "user")  # noqa: PLW2901 - and what is before it
            waiting.clear()
        found.append(message)
    return [*found, _joined(waiting, "user")] if waiting else found


def alternated(messages: Sequence[Message]) -> list[Message]:
    """Make one message of several of one role in a row, except the results of tools."""
    found: list[Message] = []
    run: list[Message] = []
    for message in messages:
        if run and (message.role != run[0].role or message.role == "tool"):
            found.append(_joined(run, run[0].role))
            run.clear()
        run.append(message)
    return [*found, _joined(run, run[0].role)] if run else found


def _joined(run: Sequence[Message], role: Role) -> Message:
    """Make one message of several: their texts are paragraphs, the rest is the last one's."""
    last = run[-1]
    if len(run) == 1 and last.role == role:
        return last
    return last.model_copy(
        update={
            "role": role,
            "content": "\n\n".join(one.content for one in run if one.content),
            "attachments": [attached for one in run for attached in one.attachments],
        }
    )


def bridged(messages: Sequence[Message]) -> list[Message]:
    """Put an assistant's word between a tool's result and a user, for Mistral refuses it else."""
    found: list[Message] = []
    for message in messages:
        if message.role == "user" and found and found[-1].role == "tool":
            found.append(Message(role="assistant", content="OK"))
        found.append(message)
    return found
