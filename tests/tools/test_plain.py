from __future__ import annotations

from pathlib import Path

import pytest

from victor.tools.base import ToolError
from victor.tools.paths import PathError
from victor.tools.plain import Plain, Wanted


async def lines(workspace: Path, pattern: str, *, path: str = ".", most: int = 100) -> list[bytes]:
    found: list[bytes] = []
    async for line in Plain(workspace, path).lines(Wanted(pattern)):
        found.append(line)
        if len(found) == most:
            break
    return found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"port", [b"x\x001:0:port"], id="no-end"),
        pytest.param(b"port\r\n", [b"x\x001:0:port\r"], id="crlf"),
        pytest.param(b"\n\xe9port", [b"x\x002:0:\xef\xbf\xbdport"], id="latin-1"),
        pytest.param("port é".encode("utf-16"), ["x\x001:0:port é".encode()], id="utf-16"),
        pytest.param(b"port\0", [], id="binary"),
        pytest.param(b"", [], id="empty"),
        pytest.param(
            b"port" + b"\xc3\xa9" * 400,
            [b"x\x001:0:port" + b"\xc3\xa9" * 248 + b" [... omitted end of long line]"],
            id="long",
        ),
    ],
)
async def test_lines_are_written_as_ripgrep_prints_them(
    workspace: Path, content: bytes, found: list[bytes]
) -> None:
    (workspace / "x").write_bytes(content)
    assert await lines(workspace, "port") == found


async def test_search_can_end_before_everything_is_found(workspace: Path) -> None:
    for number in range(50):
        (workspace / f"{number:02}").write_text("port\n")
    assert [one[:2] for one in await lines(workspace, "port", most=2)] == [b"00", b"01"]


@pytest.mark.parametrize("path", ["none", "../outside", "link"])
async def test_place_that_may_not_be_opened_is_refused(workspace: Path, path: str) -> None:
    (workspace / "link").symlink_to("../outside")
    with pytest.raises(PathError):
        await lines(workspace, "port", path=path)
    with pytest.raises(PathError):
        assert [name async for name in Plain(workspace, path).names()]


async def test_pattern_that_is_none_is_refused(workspace: Path) -> None:
    with pytest.raises(ToolError, match="unclosed group"):
        await lines(workspace, "(")
