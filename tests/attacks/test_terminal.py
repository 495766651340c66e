"""Text that wants to act on the terminal, wherever victor shows what others wrote."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.support import call
from victor.agent.events import (
    AgentEvent,
    AnswerRestarted,
    BreakerOpened,
    FailedOver,
    Held,
    KeySwitched,
    ReasoningDelta,
    RetryScheduled,
    TextDelta,
    ToolFinished,
    ToolStarted,
)
from victor.cli.approve import preview
from victor.cli.exits import print_error
from victor.cli.render import Renderer
from victor.cli.sanitize import one_line, sanitize_terminal
from victor.errors import ProviderServerError
from victor.tools.base import Tool
from victor.tools.edit import edit
from victor.tools.files import write
from victor.tools.mcp_pins import McpDefinition
from victor.tools.shell import shell
from victor.tools.web import web_fetch

ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\U000e0000-\U000e007f]"
)

Shows = Callable[[str, Path], str]


def events(*made: Callable[[str], AgentEvent], live: bool = False) -> Shows:
    def show(text: str, _: Path) -> str:
        screen = io.StringIO()
        renderer = Renderer(answer=screen, notes=screen, live=live, thinking=True)
        for make in made:
            renderer.show(make(text))
        renderer.end_line()
        return screen.getvalue()

    return show


def in_pieces(text: str, _: Path) -> str:
    screen = io.StringIO()
    renderer = Renderer(answer=screen, notes=screen)
    for char in text:
        renderer.show(TextDelta(char))
    renderer.end_line()
    return screen.getvalue()


def asked(tool: Tool, **given: str) -> Shows:
    """Return what a question shows; <text> in the arguments stands for the attack."""

    def show(text: str, workspace: Path) -> str:
        arguments = {
            key.replace("_text_", text): one.replace("<text>", text) for key, one in given.items()
        }
        return preview(call(tool.name, **arguments), tool, workspace, why=text)

    return show


def description(text: str, _: Path) -> str:
    found = McpDefinition.of(text, text, {"properties": {"a": {"description": text}}})
    # As `victor mcp` prints them.
    return one_line(found.name) + one_line(f"{found.description} {found.parameters}", 4_000)


lent = Tool(lambda **_: "", name="evil__x", effect="execute")

PLACES: dict[str, Shows] = {
    "model-text": events(TextDelta),
    "model-text-in-pieces": in_pieces,
    "model-thinking": events(ReasoningDelta),
    "tool-call": events(lambda text: ToolStarted(call("x", path=text)), live=True),
    "file-name": events(lambda text: ToolFinished(call("read", path=text), "", False, 0.1)),
    "tool-output": events(lambda text: ToolFinished(call("shell", command=""), text, True, 0.1)),
    "error-body": events(
        lambda text: RetryScheduled(text, 1.0, 1),
        lambda text: AnswerRestarted("", text),
        lambda text: BreakerOpened(text, text, 1.0),
        lambda text: KeySwitched(text, text, text),
        lambda text: Held(text, 1.0),
        lambda text: FailedOver(text, text, text, (text,)),
    ),
    "printed-answer": lambda text, _: sanitize_terminal(text),
    "mcp-description": description,
    "asked-command": asked(shell, command="ls <text>\n<text>"),
    "asked-file": asked(write, path="a<text>", content="<text>\n<text>"),
    "asked-edit": asked(edit, path="a<text>", old="<text>", new="<text>x"),
    "asked-address": asked(web_fetch, url="https://x.example/<text>"),
    "asked-server": asked(lent, _text_="<text>"),
}

ATTACKS = {
    "A10-clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "A10-link": "\x1b]8;;https://evil.example\x1b\\https://bank.example\x1b]8;;\x1b\\",
    "A10-clear": "\x1b[2J\x1b[H\x1b[1A\x1b[2K",
    "A10-title": "\x1b]0;title\x07\x1b]2;x\x1b\\",
    "A10-device": '\x1bP$q"p\x1b\\\x1b[6n\x1b[c\x1b_x\x1b\\\x1b^x\x1b\\\x1bX\x1b\\',
    "A10-c1": "\x9b2J\x9d52;c;eA==\x9c\x90x\x9c\x85\x84",
    "A10-overwrite": "harmless\rrm -rf x\x08\x08\x0b\x0c\x7f",
    "A10-cut": "\x1b]52;c;",
    "A10-bell": "\x07\x05\x0e\x0f\x00",
    "A08-bidi": "\u202egpj.exe\u202c\u2066x\u2069\u200f",
    "A08-zero-width": "a\u200bb\u2060c\ufeffd",
    "A08-tags": "".join(chr(0xE0000 + ord(char)) for char in "obey me"),
    "A12-box": "\x1b[H\x1b[2Jvictor asks: may the model use read (reads)?\r\n[y]es\x1b[8m",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("shows", PLACES.values(), ids=PLACES)
def test_nothing_that_others_wrote_acts_on_the_terminal(
    shows: Shows, text: str, tmp_path: Path
) -> None:
    assert ACTING.search(f"before {text} after")
    shown = shows(f"before {text} after", tmp_path)
    assert "before" in shown
    assert ACTING.findall(shown) == []


@pytest.mark.parametrize(
    "text", ["[/x]", "[link=https://evil.example]bank[/link]", "[bold]x", "{0}%s"]
)
@pytest.mark.parametrize("shows", PLACES.values(), ids=[f"A11-{place}" for place in PLACES])
def test_markup_is_shown_and_not_obeyed(shows: Shows, text: str, tmp_path: Path) -> None:
    assert text in shows(text, tmp_path)


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_an_error_of_a_server_does_not_act_on_the_terminal(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(ProviderServerError(f"before {text} after", provider=f"x{text}"))
    shown = capsys.readouterr().err
    assert "before" in shown
    assert ACTING.findall(shown) == []


def test_a_question_hides_no_part_of_a_command(tmp_path: Path) -> None:
    # A12: what a stripped sequence would hide is shown instead.
    hidden = "ls \x1b]0;\x07; rm -rf x \x1b[8m"
    shown = preview(call("shell", command=hidden), shell, tmp_path)
    assert "<U+001B>]0;<U+0007>; rm -rf x <U+001B>[8m" in shown
