from __future__ import annotations

import base64
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import ConfigError
from victor.media import is_provable, media_type_of, named_type, sniffed_type
from victor.types import Attachment, Message

PNG = b"\x89PNG\r\n\x1a\n and the rest"
JPEG = b"\xff\xd8\xff\xe0 and the rest"
PDF = b"%PDF-1.7 and the rest"
OGG = b"OggS\0 and the rest"


# ---------------------------------------------------------------------------- what it is


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x0a\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\x0a\x0a\0\0\0\0\0\0", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"\0\0\0\x18ftypmif1", "image/heif"),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x18ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (PDF, "application/pdf"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"ID3\x03\0", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xf1\x50", "audio/aac"),
        (b"fLaC", "audio/flac"),
        (b"FORM\0\0\0\0AIFF", "audio/aiff"),
        (OGG, "audio/ogg"),
        (b"\x1a\x45\xdf\xa3", "video/x-matroska"),
        (b"", None),
        (b"BMW is a car", None),
        (b"ID3 tags are old", None),
        (b"RIFF raff, they say", None),
        (b"PK\x03\x04", None),
        (b"\xff\xfeT\0e\0", None),
    ],
    ids=repr,
)
def test_the_first_bytes_prove_what_a_file_is(head: bytes, media_type: str | None) -> None:
    assert sniffed_type(head) == media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("cat.png", "image/png"),
        ("CAT.JPG", "image/jpeg"),
        ("a/b.c/report.final.pdf", "application/pdf"),
        ("main.rs", "text/plain"),
        ("README", None),
        (".png", None),
        ("x.unheard-of", None),
        (None, None),
        ("", None),
    ],
    ids=repr,
)
def test_the_ending_of_a_name_says_what_a_file_is(name: str | None, media_type: str | None) -> None:
    assert named_type(name) == media_type


@pytest.mark.parametrize(
    ("data", "named", "media_type"),
    [
        (JPEG, "image/png", "image/jpeg"),
        (b"text", "text/plain", "text/plain"),
        (OGG, None, "audio/ogg"),
        (OGG, "audio/opus", "audio/opus"),
        (b"text", None, None),
    ],
    ids=["bytes-win", "only-name", "container", "name-of-container", "neither"],
)
def test_what_is_proven_counts_more_than_what_it_is_called(
    data: bytes, named: str | None, media_type: str | None
) -> None:
    assert media_type_of(data, named) == media_type


def test_some_types_cannot_be_proven() -> None:
    assert is_provable("image/png")
    assert not is_provable("image/svg+xml")


# ---------------------------------------------------------------------------- files


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_becomes_an_attachment(kind: type, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    found = Attachment.from_source(kind(tmp_path / "cat.png"))
    assert found == Attachment(media_type="image/png", data=PNG, name="cat.png")


def test_a_file_goes_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cat.png").write_bytes(PNG)
    message = Message(
        role="user", content="What is this?", attachments=[Attachment.from_source("cat.png")]
    )
    assert Message.model_validate_json(message.model_dump_json()) == message


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes.md").write_text("# Hi", "utf-8")
    assert Attachment.from_source("~/notes.md").media_type == "text/markdown"


@pytest.mark.parametrize(
    ("options", "media_type", "name"),
    [
        ({}, "image/png", "cat.jpg"),
        ({"media_type": "Image/JPG; q=1"}, "image/jpeg", "cat.jpg"),
        ({"media_type": "application/x-thing"}, "application/x-thing", "cat.jpg"),
        ({"name": "dog.gif"}, "image/png", "dog.gif"),
    ],
    ids=["proven", "usual-name", "anything", "name"],
)
def test_the_caller_has_the_last_word(
    options: dict[str, Any], media_type: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "cat.jpg").write_bytes(PNG)
    found = Attachment.from_source(tmp_path / "cat.jpg", **options)
    assert (found.media_type, found.name) == (media_type, name)


def test_a_name_that_is_no_utf8_is_made_one(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(path)).write_bytes(PNG)
    assert Attachment.from_source(os.fsdecode(path)).name == "\ufffd.png"


@pytest.mark.parametrize(
    ("size", "fits"), [(99, True), (100, True), (101, False)], ids=["below", "at", "over"]
)
def test_a_file_may_be_as_long_as_the_cap(size: int, fits: bool, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * size)
    if fits:
        found = Attachment.from_source(tmp_path / "a.txt", max_bytes=100)
        assert found.data == b"x" * size
    else:
        with pytest.raises(ConfigError, match=r": more than 100 bytes; attach a smaller file"):
            Attachment.from_source(tmp_path / "a.txt", max_bytes=100)


def test_no_more_than_the_cap_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    with pytest.raises(ConfigError, match="more than 20,971,520 bytes"):
        Attachment.from_source(tmp_path / "huge.png")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nope.png", "there is no file 'nope.png'; it was looked for from the current directory"),
        ("/nope/nope.png", "there is no file '/nope/nope.png'$"),
        (".", "is a directory: name a file in it"),
        ("pipe.png", "is a pipe, a socket or a device"),
        ("socket.png", "is a pipe, a socket or a device"),
        (os.devnull, "is a pipe, a socket or a device"),
        ("/dev/zero", "is a pipe, a socket or a device"),
        ("empty.png", "'empty.png' cannot be attached: there is nothing in it"),
        ("mystery", 'cannot tell the media type of \'mystery\': pass media_type, such as'),
        ("nul\0.png", "cannot read 'nul.x00.png'"),
        ("x" * 5000, "cannot read 'x{79}…': File name too long"),
        ("~nobody-of-that-name/x.png", "cannot read '~nobody-of-that-name/x.png'"),
        ("loop.png", "cannot read 'loop.png': Too many levels of symbolic links"),
    ],
    ids=[
        "missing", "missing-absolute", "directory", "pipe", "socket", "null", "zero", "empty",
        "mystery", "nul", "long", "home", "loop",
    ],
)  # fmt: skip
def test_what_cannot_be_attached_is_refused_with_the_reason(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.png")
    Path("empty.png").touch()
    Path("mystery").write_text("?", "utf-8")
    Path("loop.png").symlink_to("loop.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        with pytest.raises(ConfigError, match=message):
            Attachment.from_source(source)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        Attachment.from_source(tmp_path / "a.png")


@pytest.mark.parametrize("source", [5, None, ["cat.png"], Attachment(media_type="a/b", url="u")],
                         ids=["number", "none", "list", "attachment"])  # fmt: skip
def test_other_types_are_no_sources(source: Any) -> None:
    with pytest.raises(TypeError, match=f"not of {type(source).__name__}$"):
        Attachment.from_source(source)


# ---------------------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    ("data", "options", "media_type"),
    [
        (PNG, {}, "image/png"),
        (bytearray(PNG), {}, "image/png"),
        (b"a,b", {"name": "a.csv"}, "text/csv"),
        (b"hello", {"media_type": "text/plain"}, "text/plain"),
    ],
    ids=["proven", "bytearray", "named", "told"],
)
def test_bytes_are_what_they_prove_or_are_called(
    data: Any, options: dict[str, Any], media_type: str
) -> None:
    found = Attachment.from_source(data, **options)
    assert (found.media_type, found.data) == (media_type, bytes(data))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"hello", {}, "cannot tell the media type of the bytes"),
        (b"hello", {"name": "hello"}, "cannot tell the media type of the bytes"),
        (b"", {}, "the bytes cannot be attached: there is nothing in it"),
        (PNG, {"max_bytes": 3}, "the bytes: more than 3 bytes"),
        (PNG, {"media_type": "png"}, "'png' is not a media type, such as image/png"),
        (PNG, {"media_type": ""}, "'' is not a media type, such as image/png"),
    ],
    ids=["unknown", "unknown-name", "empty", "long", "no-type", "blank-type"],
)
def test_bytes_that_cannot_be_attached_are_refused(
    data: bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Attachment.from_source(data, **options)


# ---------------------------------------------------------------------------- data URIs


@pytest.mark.parametrize(
    ("uri", "media_type", "data"),
    [
        ("data:,hello%20there", "text/plain", b"hello there"),
        ("data:text/html;charset=utf-8,%3Cp%3E", "text/html", b"<p>"),
        ("data:;base64,aGk=", "text/plain", b"hi"),
        ("DATA:text/csv;charset=x;BASE64,aGk", "text/csv", b"hi"),
        ("data:text/plain;base64,aG%6B%3D", "text/plain", b"hi"),
        ("data:text/plain;base64,-_-_", "text/plain", b"\xfb\xff\xbf"),
        ("data:text/plain;base64,aG\nk =", "text/plain", b"hi"),
        ("data:image/jpg;base64,AAAA", "image/jpeg", b"\0\0\0"),
        ("data:image/jpeg;base64," + base64.b64encode(PNG).decode(), "image/png", PNG),
        ("data:,a,b", "text/plain", b"a,b"),
        ("data:,ü", "text/plain", "ü".encode()),
    ],
    ids=[
        "percent", "html", "bare", "loud", "both-codes", "url-safe", "spaces", "usual-name",
        "proven", "comma", "umlaut",
    ],
)  # fmt: skip
def test_a_data_uri_is_read(uri: str, media_type: str, data: bytes) -> None:
    assert Attachment.from_source(uri) == Attachment(media_type=media_type, data=data)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("data:image/png;base64", "a comma has to precede the data"),
        ("data:image/png;base64,A", "is damaged: a character of the base64 is missing"),
        ("data:image/png;base64,!!!!", "is damaged"),
        ("data:,\ud800", "is damaged"),
        ("data:png,x", "'png' is not a media type"),
        ("data:,", "the data: URI cannot be attached: there is nothing in it"),
        ("data:," + "x" * 200, "the data: URI: more than 100 bytes"),
    ],
    ids=["no-comma", "short", "alphabet", "surrogate", "type", "empty", "long"],
)
def test_a_bad_data_uri_is_refused(uri: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Attachment.from_source(uri, max_bytes=100)
    assert len(str(caught.value)) < 250


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=40))
def test_any_bytes_survive_a_data_uri(data: bytes) -> None:
    uri = "data:application/x-any;base64," + base64.b64encode(data).decode()
    assert Attachment.from_source(uri, media_type="application/x-any").data == data


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["", "data:", "https://", "data:image/png;base64,"]), st.text(max_size=20))
def test_any_text_is_an_attachment_or_one_clear_error(begin: str, text: str) -> None:
    source = begin + text if begin else f"/{text}"
    try:
        found = Attachment.from_source(source)
    except ConfigError as error:
        said = str(error)
    else:
        said = found.media_type
        assert (found.data is None) != (found.url is None)
    assert said


# ---------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("url", "options", "media_type", "name"),
    [
        ("https://x.example/a/cat.PNG?size=1#top", {}, "image/png", "cat.PNG"),
        ("HTTP://x.example/a%20cat.jpg", {}, "image/jpeg", "a cat.jpg"),
        ("https://x.example/?id=5", {"media_type": "image/webp"}, "image/webp", None),
        ("https://x.example/5", {"name": "report.pdf"}, "application/pdf", "report.pdf"),
        ("https://x.example/a@b.png", {}, "image/png", "a@b.png"),
    ],
    ids=["ending", "loud", "told", "named", "at-in-path"],
)
def test_an_address_is_kept_and_not_fetched(
    url: str, options: dict[str, Any], media_type: str, name: str | None
) -> None:
    found = Attachment.from_source(url, **options)
    assert found == Attachment(media_type=media_type, url=url, name=name)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://x.example/cat", "cannot tell the media type of 'https://x.example/cat', which"),
        ("https://joe:hunter2@x.example/a.png", "the address of x.example has credentials in it"),
        ("https://joe@x.example/a.png", "the address of x.example has credentials in it"),
        ("https://x.example/a b.png", "a space or a control character"),
        ("https://x.example/a\n.png", "a space or a control character"),
        ("https:///a.png", "names no host"),
        ("https://[::1/a.png", "is not an address"),
        ("https://x.example:port/a.png", "is not an address"),
        ("file:///etc/passwd", "pass a path without file://"),
        ("s3://bucket/a.png", "pass a path without s3://"),
    ],
    ids=[
        "mystery", "password", "user", "space", "newline", "hostless", "bracket", "port", "file",
        "s3",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_attached_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Attachment.from_source(url)
    assert "hunter2" not in str(caught.value)
