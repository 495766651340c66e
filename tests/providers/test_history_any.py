from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.conversations import ANY, CAT, HELLO, HI, NINE, ask, fit, tell
from victor.providers.history import HistoryRules, own_state
from victor.types import Message

TEXT = st.sampled_from(["", " ", "one", "two", "Error: three"])
ID = st.sampled_from(["", "a", "b", "call_1", "abcDEF123", "ü \n"])
NAME = st.sampled_from(["f", "g"])
STATE = st.none() | st.sampled_from(["p", "q"]).map(lambda name: {"w": {"provider": name}})
CALLS = st.lists(st.tuples(ID, st.sampled_from(["f", "g", ""])), min_size=1, max_size=3)
ASKING = st.builds(lambda calls, text, state: ask(*calls, text=text, provider_state=state),
                   CALLS, TEXT, STATE)  # fmt: skip
SAID = st.builds(
    lambda role, text, state, files: Message(
        role=role, content=text, provider_state=state, attachments=files
    ),
    st.sampled_from(["system", "user", "assistant"]), TEXT, STATE, st.sampled_from([[], [CAT]]),
)  # fmt: skip
RESULT = st.builds(tell, st.none() | ID, TEXT, st.none() | NAME)
CONVERSATION = st.lists(SAID | ASKING | RESULT, max_size=14)
RULES = st.sampled_from([ANY, NINE])


@st.composite
def whole_turns(draw: st.DrawFn) -> list[Message]:
    """Turns as an agent adds them; the ids may have been used before."""
    found: list[Message] = []
    for ids in draw(st.lists(st.lists(ID, max_size=2, unique=True), max_size=3)):
        found.append(Message(role="user", content="go on"))
        if ids:
            found.append(ask(*((one, "f") for one in ids)))
            found += [tell(one, "done") for one in draw(st.permutations(ids))]
        found.append(HELLO)
    return found


def is_whole(messages: Sequence[Message], rules: HistoryRules) -> bool:
    """The invariant, written down apart from the code that makes it true."""
    ids: Counter[str] = Counter()
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if message.role == "tool":
            return False
        own = own_state(message, wire=rules.wire, provider="p") is not None
        calls = message.tool_calls or []
        says = bool(message.content.strip() or message.attachments or calls)
        if not says and not (own and message.role == "assistant"):
            return False
        for call in calls:
            ids[call.id] += 1
            answer = messages[place] if place < len(messages) else HI
            place += 1
            if (answer.role, answer.tool_call_id, answer.name) != ("tool", call.id, call.name):
                return False
            if not call.name or not call.id:
                return False
            if rules.call_id is not None and not rules.call_id.fullmatch(call.id):
                return False
    return all(times == 1 for times in ids.values())


@settings(max_examples=200, deadline=None)
@given(CONVERSATION, RULES)
def test_any_conversation_becomes_whole_and_stays_so(
    messages: list[Message], rules: HistoryRules
) -> None:
    before = [message.model_dump() for message in messages]
    found = fit(messages, rules)
    assert is_whole(found.messages, rules)
    assert fit(found.messages, rules).messages is found.messages
    assert [message.model_dump() for message in messages] == before
    again = fit([message.model_copy() for message in messages], rules)
    assert (list(again.messages), again.notes) == (list(found.messages), found.notes)


@settings(max_examples=200, deadline=None)
@given(CONVERSATION, RULES)
def test_no_text_is_ever_lost(messages: list[Message], rules: HistoryRules) -> None:
    numbered = [
        one.model_copy(update={"content": f"{one.content}#{n}#"} if one.content.strip() else {})
        for n, one in enumerate(messages)
    ]
    sent = "".join(one.content for one in fit(numbered, rules).messages)
    assert all(one.content in sent for one in numbered if one.content.strip())


@settings(max_examples=200, deadline=None)
@given(CONVERSATION, whole_turns(), whole_turns(), RULES)
def test_appending_whole_turns_changes_nothing_before_them(
    broken: list[Message], turns: list[Message], more: list[Message], rules: HistoryRules
) -> None:
    before = [*broken, *turns]
    first, second = fit(before, rules).messages, fit([*before, *more], rules).messages
    assert all(one is other for one, other in zip(first, second, strict=False))
