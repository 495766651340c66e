from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.mcp_servers import McpServer
from victor.config.mcp_table import with_server, without_server
from victor.config.settings import load_settings
from victor.errors import ConfigError

FILE = """\
# mine
mode = "ask"

[mcp.files]
command = ["mcp-files", "[x]"] # for docs
reads = ["get_*"]

[providers.lab]
base_url = "http://lab"
"""


def read(tmp_path: Path, content: str) -> dict[str, McpServer]:
    file = tmp_path / "config.toml"
    file.write_text(content)
    return dict(load_settings(file, {}).mcp)


def test_servers_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, FILE + '[mcp.web]\nurl = "https://x.example/mcp/"\noauth = true\n')
    assert found == {
        "files": McpServer(command=("mcp-files", "[x]"), reads=("get_*",)),
        "web": McpServer(url="https://x.example/mcp", oauth=True),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[mcp.a]", "mcp.a: needs either a command"),
        ('[mcp.a]\ncommand = ["x"]\nurl = "http://x"', "needs either a command"),
        ('[mcp.A_b]\ncommand = ["x"]', "'A_b' cannot be a server's name"),
        ('[mcp.a]\nurl = "http://x"\nnetwork = true', "mcp.a.network: means nothing"),
        ('[mcp.a]\ncommand = ["x"]\noauth = true', "mcp.a.oauth: means nothing"),
        ('[mcp.a]\ncommand = ["x"]\ntimout = 5', "did you mean timeout"),
        ('[mcp.a]\nurl = "http://x"\ntoken = "s3cret"', "keys are not kept in this file"),
        ('[mcp.a]\nurl = "http://x"\noauth = true\ntoken_variable = "T"', "has either oauth or"),
        ("mcp = 1", "mcp: expected a table"),
    ],
)
def test_a_wrong_server_is_an_error_that_names_the_place(
    content: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="mcp") as error:
        read(tmp_path, content)
    assert message in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_server_is_added_at_the_end_and_taken_out_again(tmp_path: Path) -> None:
    added = with_server(FILE, "web", {"url": "https://x.example", "reads": ["ü*"]})
    assert added.startswith(FILE)
    assert read(tmp_path, added)["web"] == McpServer(url="https://x.example", reads=("ü*",))
    assert without_server(added, "web") == FILE
    without = without_server(FILE, "files")
    assert "# mine" in without
    assert "files" not in without
    assert read(tmp_path, without) == {}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (FILE, "web", "no MCP server 'web'; there are: files"),
        ('mcp = {files = {command = ["x"]}}', "files", "edit its table"),
        ('[mcp.files]\ncommand = [\n["x"]\n]', "files", "edit its table"),
        ("mcp = 1", "files", "is no table"),
        ("[", "files", "correct it first"),
    ],
)
def test_what_cannot_be_taken_out_safely_is_left_to_the_user(
    content: str, name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        without_server(content, name)


def test_a_name_that_is_taken_is_not_used_twice() -> None:
    with pytest.raises(ConfigError, match="victor mcp remove files"):
        with_server(FILE, "files", {"command": ["y"]})


@settings(max_examples=60)
@given(words=st.lists(st.text(), min_size=1, max_size=4))
def test_whatever_the_words_are_they_come_back_or_nothing_is_written(words: list[str]) -> None:
    import tomllib

    try:
        added = with_server(FILE, "web", {"command": words})
    except (ConfigError, UnicodeEncodeError):
        return
    assert tomllib.loads(added)["mcp"]["web"] == {"command": words}
    assert without_server(added, "web") == FILE


def test_adding_and_removing_again_leaves_nothing_behind() -> None:
    added = with_server("", "web", {"url": "https://x.org/mcp"})
    assert without_server(added, "web") == ""
