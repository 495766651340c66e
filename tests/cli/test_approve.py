from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from victor.agent.grants import Grants
from victor.agent.permissions import Permissions
from victor.agent.rules import load_rules
from victor.cli.approve import Approver, preview
from victor.config.rule_texts import RuleText, RuleTexts
from victor.tools.apply_patch import apply_patch
from victor.tools.background import background_tools
from victor.tools.base import Effect, Tool, tool
from victor.tools.context import Memory, ToolContext
from victor.tools.edit import edit, multi_edit
from victor.tools.files import write
from victor.tools.seen import SeenFiles
from victor.tools.sessions import Sessions
from victor.tools.shell import shell
from victor.tools.spill import Spill
from victor.tools.web import web_fetch
from victor.types import JsonObject, ToolCall


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


class _Person:
    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    async def ask(self, question: str) -> str | None:
        self.questions.append(question)
        await asyncio.sleep(0)
        return self.answers.pop(0)


def _call(item: Tool, **arguments: object) -> ToolCall:
    return ToolCall(name=item.name, arguments=arguments)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("y", True),
        (" YES ", True),
        ("n", False),
        ("no", False),
        ("\x1b", False),
        (None, False),
        ("use git mv instead", "the user says: use git mv instead"),
        ("sure, but not now", "the user says: sure, but not now"),
    ],
    ids=str,
)
async def test_only_a_plain_yes_is_a_yes(
    typed: str | None, answer: bool | str, tmp_path: Path
) -> None:
    approver = Approver(tmp_path, _Person(typed).ask)
    assert await approver(_call(shell, command="make"), shell) == answer
    assert approver.refused == (0 if answer is True else 1)


async def test_enter_alone_asks_again(tmp_path: Path) -> None:
    person = _Person("", " ", "y")
    assert await Approver(tmp_path, person.ask)(_call(shell, command="make"), shell) is True
    assert len(person.questions) == 3
    assert "make" not in person.questions[1]


@pytest.mark.parametrize("typed", ["ok", "Sure", "yep", "?", "yy", "1"])
async def test_a_slip_is_neither_a_yes_nor_a_reason(typed: str, tmp_path: Path) -> None:
    person = _Person(typed, "n")
    assert await Approver(tmp_path, person.ask)(_call(shell, command="make"), shell) is False
    assert person.questions[1].startswith("That is neither yes nor a reason.\n[y]es")


async def test_a_short_reason_in_another_script_is_one(tmp_path: Path) -> None:
    person = _Person("不行")
    assert await Approver(tmp_path, person.ask)(_call(shell, command="make"), shell) == (
        "the user says: 不行"
    )


@pytest.mark.parametrize("columns", [60, 100])
async def test_the_choices_leave_room_for_the_answer(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    person = _Person("n")
    await Approver(tmp_path, person.ask)(_call(write, path="b", content="y"), write)
    assert person.questions[0].endswith("or say why not: ")
    assert max(map(len, person.questions[0].split("\n")[-2:])) <= columns - len("session")


async def test_allowing_an_edit_covers_edits_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("x")
    person = _Person("s", "n", "n")
    approver = Approver(tmp_path, person.ask)
    assert await approver(_call(edit, path="a", old="x", new="y"), edit) is True
    assert await approver(_call(edit, path="b", old="x", new="y"), edit) is True
    assert await approver(_call(write, path="b", content="y"), write) is False
    assert await approver(_call(shell, command="make"), shell) is False


async def test_allowing_a_command_covers_that_very_command(tmp_path: Path) -> None:
    person = _Person("Session", "n")
    approver = Approver(tmp_path, person.ask)
    assert await approver(_call(shell, command="git status"), shell) is True
    assert await approver(_call(shell, command="git status"), shell) is True
    assert await approver(_call(shell, command="git push"), shell) is False


async def test_without_a_person_the_refusal_names_the_way_out(tmp_path: Path) -> None:
    approver = Approver(tmp_path, None)
    answer = await approver(_call(shell, command="make"), shell)
    assert isinstance(answer, str)
    assert "--mode" in answer
    assert approver.refused == 1


async def test_questions_come_one_at_a_time(tmp_path: Path) -> None:
    open_questions = 0

    async def ask(question: str) -> str | None:
        nonlocal open_questions
        assert question
        open_questions += 1
        assert open_questions == 1
        await asyncio.sleep(0)
        open_questions -= 1
        return "y"

    approver = Approver(tmp_path, ask)
    calls = [_call(shell, command=f"echo {n}") for n in range(5)]
    assert await asyncio.gather(*(approver(call, shell) for call in calls)) == [True] * 5


async def test_what_cannot_be_remembered_is_asked_again(tmp_path: Path) -> None:
    person = _Person("always", "n")
    approver = Approver(tmp_path, person.ask)
    assert await approver(_call(shell, command="make"), shell) is False
    assert person.questions[1].startswith("This cannot be allowed for good. [y]es")


@pytest.fixture
def permissions(tmp_path: Path) -> Permissions:
    environ = {"XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CONFIG_HOME": str(tmp_path / "c")}
    workspace = tmp_path / "w"
    workspace.mkdir()
    rules = load_rules(RuleTexts(ask=(RuleText("shell(git push*)"),)))
    return Permissions(workspace, rules, Grants(workspace, environ), environ=environ)


async def test_always_stores_the_rule_that_was_shown(permissions: Permissions) -> None:
    person = _Person("A")
    approver = Approver(permissions.workspace, person.ask)
    approver.permissions = permissions
    assert await approver(_call(shell, command="make all"), shell) is True
    assert "\n  always, in this project: shell(=make all)\n" in person.questions[0]
    assert "asked because: no rule allows it" in person.questions[0]
    assert permissions.command("make all", "ask").decision == "allow"
    assert permissions.command("make alle", "ask").decision == "ask"


async def test_always_for_an_edit_is_for_that_file(permissions: Permissions) -> None:
    person = _Person("a")
    approver = Approver(permissions.workspace, person.ask)
    approver.permissions = permissions
    call = _call(write, path="a.txt", content="x")
    assert await approver(call, write) is True
    assert "\n  always, in this project: write(./a.txt)\n" in person.questions[0]
    assert permissions.judge(call, write, "ask").decision == "allow"
    assert permissions.judge(_call(write, path="b/a.txt"), write, "ask").decision == "ask"


async def test_what_a_rule_asks_about_is_never_offered_for_good(permissions: Permissions) -> None:
    person = _Person("n")
    approver = Approver(permissions.workspace, person.ask)
    approver.permissions = permissions
    assert await approver(_call(shell, command="git push"), shell) is False
    assert "[a]lways" not in person.questions[0]
    assert "asked because: rule ask shell(git push*)" in person.questions[0]


async def test_what_the_rules_allow_is_asked_without_a_reason(permissions: Permissions) -> None:
    person = _Person("y")
    approver = Approver(permissions.workspace, person.ask)
    approver.permissions = permissions
    assert await approver(_call(shell, command="true"), shell) is True
    assert "asked because" not in person.questions[0]
    assert "\n  always, in this project: shell(=true)\n" in person.questions[0]


async def test_what_cannot_be_stored_is_allowed_once(
    permissions: Permissions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s").write_text("in the way")
    approver = Approver(permissions.workspace, _Person("a").ask)
    approver.permissions = permissions
    assert await approver(_call(shell, command="make"), shell) is True
    assert "cannot remember this" in capsys.readouterr().err


async def test_without_a_person_the_refusal_says_why_it_was_asked(permissions: Permissions) -> None:
    approver = Approver(permissions.workspace, None)
    approver.permissions = permissions
    answer = await approver(_call(shell, command="git push"), shell)
    assert isinstance(answer, str)
    assert "rule ask shell(git push*)" in answer


@pytest.mark.parametrize(
    ("item", "arguments", "advice"),
    [
        (shell, {"command": "make"}, "--mode auto or a rule in the settings' [permissions] would"),
        (write, {"path": "a", "content": "x"}, "--mode accept-edits or a rule in"),
        (write, {"path": "AGENTS.md", "content": "x"}, "may allow it, and no mode does"),
        (shell, {"command": "git push"}, "may allow it, and no mode does"),
    ],
    ids=["command", "edit", "protected", "ruled"],
)
async def test_without_a_person_only_what_would_help_is_advised(
    item: Tool, arguments: JsonObject, advice: str, permissions: Permissions
) -> None:
    approver = Approver(permissions.workspace, None)
    approver.permissions = permissions
    answer = await approver(_call(item, **arguments), item)
    assert isinstance(answer, str)
    assert advice in answer


def test_a_sandbox_is_named_in_the_question(tmp_path: Path) -> None:
    shown = preview(_call(shell, command="make"), shell, tmp_path, confined=True)
    assert shown.endswith(", in the sandbox")


def test_a_command_is_shown_whole_and_with_its_directory(tmp_path: Path) -> None:
    shown = preview(_call(shell, command="make test\nrm -rf x", timeout_s=5), shell, tmp_path)
    assert shown == (
        "victor asks: may the model use shell (runs a program)?\n"
        "  | make test\n  | rm -rf x\n  timeout_s: 5\n"
        f"  in {tmp_path}, with all your rights: no sandbox"
    )


def test_nothing_in_a_command_can_hide(tmp_path: Path) -> None:
    command = "ls \x1b]0; rm -rf ~\x07\r\u202e\u200b\x1b[8m"
    shown = preview(_call(shell, command=command), shell, tmp_path)
    assert "  | ls <U+001B>]0; rm -rf ~<U+0007><U+000D><U+202E><U+200B><U+001B>[8m\n" in shown


def test_a_command_cannot_draw_a_question_of_ours(tmp_path: Path) -> None:
    command = "true\nvictor asks: may the model use read?\n[y]es"
    lines = preview(_call(shell, command=command), shell, tmp_path).split("\n")
    assert [line for line in lines if line.startswith("victor asks")] == lines[:1]
    assert not any(line.startswith("[y]") for line in lines)


def test_an_edit_is_shown_as_the_difference_it_makes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n-- two\nthree\n")
    shown = preview(_call(edit, path="a.txt", old="-- two", new="++ 2"), edit, tmp_path)
    assert shown.split("\n")[1:] == [
        "  path: a.txt",
        "  | @@ -1,3 +1,3 @@",
        "  |  one",
        "  | --- two",
        "  | +++ 2",
        "  |  three",
        f"  in {tmp_path}",
    ]


def test_an_edit_that_will_fail_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    shown = preview(_call(edit, path="a.txt", old="two", new="2"), edit, tmp_path)
    assert "  | -two\n  | +2\n" in shown
    assert "this will fail: old was not found" in shown


def test_an_edit_of_every_place_is_shown_with_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\none\n")
    call = _call(edit, path="a.txt", old="one", new="1", replace_all=True)
    assert preview(call, edit, tmp_path).count("  | +1\n") == 2


def test_a_written_file_is_compared_with_the_one_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    shown = preview(_call(write, path="a.txt", content="one\n2\n"), write, tmp_path)
    assert "  | -two\n  | +2\n" in shown


def test_a_new_file_is_shown_whole(tmp_path: Path) -> None:
    shown = preview(_call(write, path="new.txt", content="one\n\x1b[2J\n"), write, tmp_path)
    assert "  path: new.txt\n  | +one\n  | +<U+001B>[2J\n  in" in shown


def test_a_large_file_is_shown_without_comparing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n" * 600_000)
    shown = preview(_call(write, path="a.txt", content="small"), write, tmp_path)
    assert "  | 1,200,000 bytes become 5\n  | +small [no newline at the end]\n" in shown


@pytest.mark.parametrize(
    ("item", "arguments"),
    [
        (edit, {"path": 1, "old": None}),
        (write, {"content": ["x"]}),
        (shell, {"command": 7}),
        (shell, {}),
    ],
    ids=["edit", "write", "shell", "nothing"],
)
def test_arguments_of_the_wrong_kind_are_shown_as_they_are(
    item: Tool, arguments: JsonObject, tmp_path: Path
) -> None:
    shown = preview(ToolCall(name=item.name, arguments=arguments), item, tmp_path)
    assert all(name in shown for name in arguments)


@pytest.mark.parametrize(
    ("effect", "rights"),
    [("other", "with all your rights"), ("read", ""), ("edit", "")],
    ids=["other", "read", "edit"],
)
def test_any_other_tool_shows_all_arguments(effect: Effect, rights: str, tmp_path: Path) -> None:
    def act(a: str, b: int) -> None:
        raise AssertionError(a, b)

    shown = preview(
        ToolCall(name="act", arguments={"a": "x\ny\x1b", "b": 3}),
        tool(act, effect=effect),
        tmp_path,
    )
    assert "\n  a: x\n  | y<U+001B>\n  b: 3\n" in shown
    assert rights in shown


@pytest.mark.parametrize(("colour", "count"), [(True, 1), (False, 0)], ids=["colour", "plain"])
async def test_a_difference_is_coloured_on_request(
    colour: bool, count: int, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    person = _Person("y")
    approver = Approver(tmp_path, person.ask, colour=colour)
    await approver(_call(edit, path="a.txt", old="one", new="1"), edit)
    find: Callable[[str], int] = person.questions[0].count
    assert find("\x1b[32m  | +1\x1b[0m") == count
    assert find("\x1b[31m  | -one\x1b[0m") == count


PATCH = """*** Begin Patch
*** Add File: new.txt
+fresh
*** Update File: a.txt
@@
-one
+1
*** Update File: b.txt
*** Move to: c.txt
@@
-two
+2
*** Delete File: d.txt
*** End Patch"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, content in {"a": "one\n", "b": "two\n", "d": "gone\n"}.items():
        (tmp_path / f"{name}.txt").write_text(content)
    return tmp_path


def test_a_patch_is_shown_as_what_becomes_of_every_file(files: Path) -> None:
    shown = preview(_call(apply_patch, patch=PATCH), apply_patch, files)
    assert shown.split("\n")[1:-1] == [
        "  create: new.txt",
        "  | +fresh",
        "  path: a.txt",
        "  | @@ -1 +1 @@",
        "  | -one",
        "  | +1",
        "  move: b.txt to c.txt",
        "  | @@ -1 +1 @@",
        "  | -two",
        "  | +2",
        "  remove: d.txt",
        "  | -gone",
    ]


def test_what_is_shown_of_a_patch_is_what_it_does(files: Path) -> None:
    preview(_call(apply_patch, patch=PATCH), apply_patch, files)
    assert sorted(one.name for one in files.iterdir()) == ["a.txt", "b.txt", "d.txt"]
    apply_patch(ToolContext(files), PATCH)
    found = {one.name: one.read_text() for one in files.iterdir()}
    assert found == {"a.txt": "1\n", "c.txt": "2\n", "new.txt": "fresh\n"}


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        (PATCH.replace("-two", "-three"), "this will fail: b.txt: hunk 1 of 1"),
        (PATCH.replace("File: new.txt", "File: a.txt"), "a.txt is there already"),
        ("no patch", "this will fail: this is no patch"),
    ],
    ids=["place", "exists", "format"],
)
def test_a_patch_that_will_fail_is_shown_with_the_reason(patch: str, why: str, files: Path) -> None:
    shown = preview(_call(apply_patch, patch=patch), apply_patch, files)
    assert why in shown
    assert all(f"\n  | {line}\n" in shown for line in patch.split("\n"))


def test_several_edits_are_shown_as_one_difference(files: Path) -> None:
    edits = [{"old": "one", "new": "two"}, {"old": "two", "new": "3", "replace_all": "true"}]
    shown = preview(_call(multi_edit, path="a.txt", edits=edits), multi_edit, files)
    assert "\n  path: a.txt\n  | @@ -1 +1 @@\n  | -one\n  | +3\n  in" in shown


def test_the_edit_that_will_fail_is_named(files: Path) -> None:
    edits = [{"old": "one", "new": "1"}, {"old": "one", "new": "2"}]
    shown = preview(_call(multi_edit, path="a.txt", edits=edits), multi_edit, files)
    assert "this will fail: edit 2 of 2 does not fit, so none is made: old was not found" in shown


async def test_nobody_is_asked_about_an_edit_that_will_fail(files: Path) -> None:
    person = _Person()
    approver = Approver(files, person.ask)
    answer = await approver(_call(edit, path="a.txt", old="zzz", new="2"), edit)
    assert isinstance(answer, str)
    assert answer.startswith("it would fail: old was not found")
    assert person.questions == []
    assert approver.refused == 0


@pytest.mark.parametrize(
    ("item", "arguments"),
    [
        (edit, {"old": "one", "new": "1"}),
        (multi_edit, {"edits": [{"old": "one", "new": "1"}]}),
        (write, {"content": "1"}),
    ],
    ids=["edit", "multi_edit", "write"],
)
def test_a_file_that_changed_since_it_was_read_is_told(
    item: Tool, arguments: JsonObject, files: Path
) -> None:
    memory = Memory()
    memory.of(SeenFiles).remember(files, "a.txt", b"zero\n")
    call = _call(item, path="a.txt", **arguments)
    assert "this will fail: 'a.txt' has changed" in preview(call, item, files, memory=memory)
    assert "will fail" not in preview(call, item, files)


@pytest.mark.parametrize(
    "arguments",
    [{"path": "a.txt", "edits": []}, {"path": "a.txt", "edits": "x"}, {"edits": [], "path": 1}],
    ids=["none", "text", "path"],
)
def test_edits_of_the_wrong_kind_are_shown_as_they_are(arguments: JsonObject, files: Path) -> None:
    shown = preview(ToolCall(name="multi_edit", arguments=arguments), multi_edit, files)
    assert "\n  edits: " in shown


def _background(name: str) -> Tool:
    return next(one for one in background_tools() if one.name == name)


@pytest.mark.parametrize("known", [True, False], ids=["running", "unknown"])
def test_what_is_typed_is_shown_with_the_program_that_gets_it(known: bool, tmp_path: Path) -> None:
    memory = Memory()
    if known:
        memory.of(Sessions).new("python3 -i\n\x1b[2J", memory.of(Spill))
    item = _background("shell_write")
    call = _call(item, session="1", text="print(1)\n\x03x", wait_s=2)
    lines = preview(call, item, tmp_path, confined=True, memory=memory).split("\n")
    into = ["  into session 1, which runs:", "  | python3 -i", "  | <U+001B>[2J"]
    assert lines == [
        "victor asks: may the model use shell_write (types into a program in the background)?",
        *(into if known else ["  into session 1"]),
        "  typed:",
        "  | print(1)⏎",
        "  | <U+0003>x",
        "  wait_s: 2",
        f"  in {tmp_path}, in the sandbox",
    ]


def test_a_program_in_the_background_is_said_to_be_one(tmp_path: Path) -> None:
    item = _background("shell_start")
    shown = preview(_call(item, command="make serve"), item, tmp_path)
    assert "(runs a program in the background)?\n  | make serve\n" in shown


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://docs.example.com/a?b", "docs.example.com"),
        ("https://docs.example.com@evil.example/", "evil.example"),
        ("https://b\u00fccher.example/", "b\u00fccher.example (xn--bcher-kva.example)"),
        ("https://[", "none"),
        ("nonsense", "none"),
    ],
    ids=["plain", "userinfo", "idn", "broken", "none"],
)
def test_an_address_is_shown_with_the_host_it_really_names(
    url: str, host: str, tmp_path: Path
) -> None:
    shown = preview(_call(web_fetch, url=url), web_fetch, tmp_path, confined=True)
    assert shown.split("\n") == [
        "victor asks: may the model use web_fetch (fetches from the web)?",
        f"  host: {host}",
        f"  url: {url}",
    ]


def test_a_server_is_named_and_no_sandbox_is_claimed(tmp_path: Path) -> None:
    def act(command: str, more: JsonObject) -> None:
        raise AssertionError(command, more)

    item = tool(act, name="lab__run", effect="execute")
    call = _call(item, command="all", more={"a": [1]})
    assert preview(call, item, tmp_path, confined=True).split("\n") == [
        "victor asks: may the model use lab__run (asks the MCP server lab)?",
        "  command: all",
        '  more: {"a": [1]}',
    ]


@pytest.mark.parametrize("columns", [80, 40])
def test_no_line_of_the_model_goes_on_at_the_left_edge(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    spoof = "x" * (columns - 4) + "victor asks: may the model use read?"
    item = _background("shell_write")
    calls = [
        (_call(shell, command=spoof, timeout_s=spoof), shell),
        (_call(write, path=spoof, content=spoof), write),
        (_call(apply_patch, patch=spoof), apply_patch),
        (_call(item, session=spoof, text=spoof), item),
        (_call(web_fetch, url=f"https://{spoof}"), web_fetch),
    ]
    for call, used in calls:
        lines = preview(call, used, tmp_path, why=spoof, offer=spoof).split("\n")[1:]
        assert all(line.startswith("  ") and len(line) < columns for line in lines)


async def test_the_rest_of_a_broken_line_has_its_colour(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    person = _Person("y")
    await Approver(files, person.ask, colour=True)(_call(write, path="n", content="x" * 50), write)
    assert "\x1b[32m  : " in person.questions[0]
