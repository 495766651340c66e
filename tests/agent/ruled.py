"""A workspace with permission rules, for the tests of what may run."""

from __future__ import annotations

from pathlib import Path

from victor.agent.grants import Grants
from victor.agent.permissions import Permissions
from victor.agent.rules import load_rules
from victor.config.rule_texts import RuleText, RuleTexts

__all__ = ["RULES", "Made"]

RULES: dict[str, list[str]] = {
    "allow": ["shell(pytest *)", "shell(make*)", "shell(=a $(b) | c)", "write(*.md)"],
    "ask": ["shell(make deploy*)", "write(*.toml)", "read(private/**)"],
    "deny": ["shell(rm *)", "shell(git push*)", "read(secrets/**)", "write(locked)"],
}


class Made:
    """A workspace with rules."""

    def __init__(self, root: Path) -> None:
        self.workspace = root / "w"
        self.workspace.mkdir()
        (self.workspace / "src").mkdir()
        (self.workspace / "src" / "a.py").write_text("x\n")
        (self.workspace / "secrets").mkdir()
        (self.workspace / "secrets" / "key").write_text("x\n")
        state, config = str(root / "state"), str(root / "config")
        self.environ = {"XDG_STATE_HOME": state, "XDG_CONFIG_HOME": config}
        self.grants = Grants(self.workspace, self.environ)

    @staticmethod
    def which(name: str) -> str | None:
        return f"/bin/{name}"

    def rules(self, **lists: list[str]) -> Permissions:
        texts = {key: tuple(RuleText(one) for one in found) for key, found in lists.items()}
        return Permissions(
            self.workspace,
            load_rules(RuleTexts(**texts)),
            self.grants,
            which=self.which,
            environ=self.environ,
        )
