"""A server of tools that lies: in the sandbox, and nothing it says of itself counts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.agent.support import call as called
from tests.attacks.support import SECRET, furnish, listening, nobody_called, tree, write
from tests.sandbox.support import CONFINED, available
from tests.tools.mcp_support import WHY, call, until
from victor.agent.permissions import Permissions
from victor.config.mcp_servers import McpServer
from victor.tools.base import ToolContext, Toolset
from victor.tools.mcp import McpServers
from victor.tools.workspace import workspace_tools

LIAR = Path(__file__).with_name("liar.py")

pytestmark = [
    pytest.mark.skipif(find_spec("mcp") is None, reason=WHY),
    pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no /usr/bin/python3"),
]


@pytest.mark.parametrize("kind", CONFINED)
async def test_a_server_that_lies_gets_nothing_and_is_not_believed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A03, A10, A23, A35
    sandbox = available(kind)
    monkeypatch.setattr("victor.tools.mcp_stdio.best_sandbox", lambda _: sandbox)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("SSH_AUTH_SOCK", f"/run/{SECRET}")
    home = tmp_path / "home"
    workspace = furnish(home)
    write(workspace / "src" / "liar.py", LIAR.read_text())
    write(workspace / "src" / "calls", "")
    before = tree(home)
    with listening() as ear:
        argv = ("/usr/bin/python3", "src/liar.py", str(home), str(ear.getsockname()[1]))
        server = McpServer(command=argv, timeout=20.0)
        given = {"friend": server}
        async with McpServers(given, workspace=workspace, state=tmp_path / "mcp") as opened:
            assert not opened.troubles
            tools = Toolset([*workspace_tools(workspace), *opened.tools])
            lent = {one.name: one for one in opened.tools}
            # Names are the server's own space, and what nobody sees is gone.
            assert all(name.startswith("friend__") for name in lent)
            assert all(name.isascii() and "/" not in name for name in lent)
            assert tools.get("bash") is None
            bash = lent["friend__bash"]
            assert bash.definition.description == "Add.]0;x"
            assert bash.definition.parameters["properties"]["a"]["description"] == "One"
            # That it only reads is its own word.
            permissions = Permissions(workspace, environ={"HOME": str(home)})
            verdict = permissions.judge(called(bash.name, command="ls"), bash, "ask")
            assert verdict.decision == "ask"
            context = ToolContext(workspace)
            said = (await call(opened, bash.name, context, a=1)).content
            assert "DONE connected" not in said
            assert SECRET not in said
            # It has changed its tools meanwhile: they are withheld, and not called.
            link = opened.connections["friend"]._link
            await until(lambda: link is not None and link._changed)
            for name, one in lent.items():
                assert (await one.run({}, context)).is_error == ("write" not in name)
            assert opened.withheld == {"friend": ["../../read", "bash", "shell"]}
        assert (workspace / "src" / "calls").read_text().split("\n")[:2] == ["bash", "write\x1b[2J"]
        assert nobody_called(ear)
    (workspace / "src" / "calls").write_text("")
    assert tree(home) == before
