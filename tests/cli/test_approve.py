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
from victor.tools.base import Effect, Tool, tool
from victor.tools.edit import edit
from victor.tools.files import write
from victor.tools.shell import shell
from victor.types import JsonObject, ToolCall


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
        ("use git mv instead", "use git mv instead"),
        ("sure", "sure"),
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


async def test_allowing_an_edit_covers_edits_and_nothing_else(tmp_path: Path) -> None:
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
    assert "[a]lways in this project: shell(=make all), or" in person.questions[0]
    assert "asked because: no rule allows it" in person.questions[0]
    assert permissions.command("make all", "ask").decision == "allow"
    assert permissions.command("make alle", "ask").decision == "ask"


async def test_always_for_an_edit_is_for_that_file(permissions: Permissions) -> None:
    person = _Person("a")
    approver = Approver(permissions.workspace, person.ask)
    approver.permissions = permissions
    call = _call(write, path="a.txt", content="x")
    assert await approver(call, write) is True
    assert "[a]lways in this project: write(./a.txt), or" in person.questions[0]
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
    assert "[a]lways in this project: shell(=true)" in person.questions[0]


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
        "  | @@ -1,4 +1,4 @@",
        "  |  one",
        "  | --- two",
        "  | +++ 2",
        "  |  three",
        "  |  ",
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
    assert "  path: new.txt\n  | +one\n  | +<U+001B>[2J\n  | +\n  in" in shown


def test_a_large_file_is_shown_without_comparing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n" * 600_000)
    shown = preview(_call(write, path="a.txt", content="small"), write, tmp_path)
    assert "  | 1,200,000 bytes become 5\n  | +small\n" in shown


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
