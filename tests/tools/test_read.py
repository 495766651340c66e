from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from victor.tools.base import ToolContext
from victor.tools.read import read

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)

needs_pypdf = pytest.mark.skipif(
    importlib.util.find_spec("pypdf") is None, reason="needs victor[pdf]"
)


def pdf(*pages: str) -> bytes:
    """Write a PDF with one line of text on each page."""
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
    ]
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    for number, text in enumerate(pages):
        drawn = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {4 + 2 * number} 0 R "
            f"/Resources << /Font << /F1 {font} >> >> >>",
            f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        ]
    out = "%PDF-1.4\n"
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{one}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return (
        f"{out}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
        f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    ).encode()


async def test_image_is_attached(context: ToolContext, workspace: Path) -> None:
    (workspace / "dot.dat").write_bytes(PNG)
    result = await read.run({"path": "dot.dat"}, context)
    assert result.content == f"[dot.dat: image/png, {len(PNG)} bytes, attached]"
    (attached,) = result.attachments
    assert (attached.media_type, attached.data, attached.name) == ("image/png", PNG, "dot.dat")


async def test_image_too_large_for_models_is_refused(context: ToolContext, workspace: Path) -> None:
    (workspace / "big.png").write_bytes(PNG + bytes(4_000_000))
    result = await read.run({"path": "big.png"}, context)
    assert result.is_error
    assert "models take up to 3,750,000" in result.content


async def test_binary_file_is_named_for_what_it_is(context: ToolContext, workspace: Path) -> None:
    (workspace / "x.bmp").write_bytes(b"BM\x10\0\0\0\0\0\0\0rest")
    result = await read.run({"path": "x.bmp"}, context)
    assert result.content == "'x.bmp' is a binary file of 14 bytes (image/bmp)"
    (workspace / "y").write_bytes(b"a\0b")
    assert (await read.run({"path": "y"}, context)).content == "'y' is a binary file of 3 bytes"


@needs_pypdf
async def test_pdf_is_read_as_text_by_pages(context: ToolContext, workspace: Path) -> None:
    (workspace / "x.pdf").write_bytes(pdf("first page", "second page"))
    result = await read.run({"path": "x.pdf"}, context)
    assert result.content.split("\n") == [
        "1\t--- page 1 of 2 ---",
        "2\tfirst page",
        "3\t--- page 2 of 2 ---",
        "4\tsecond page",
    ]


@needs_pypdf
@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(pdf(""), "is a PDF without text: its 1 pages are images", id="scanned"),
        pytest.param(b"%PDF-1.4\nbroken", "is a PDF that cannot be read", id="broken"),
    ],
)
async def test_pdf_without_text_is_an_error(
    context: ToolContext, workspace: Path, content: bytes, text: str
) -> None:
    (workspace / "x.pdf").write_bytes(content)
    result = await read.run({"path": "x.pdf"}, context)
    assert result.is_error
    assert text in result.content


async def test_pdf_without_the_extra_says_what_to_install(
    context: ToolContext, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    (workspace / "x.pdf").write_bytes(pdf("text"))
    result = await read.run({"path": "x.pdf"}, context)
    assert result.is_error
    assert "victor[pdf]" in result.content
