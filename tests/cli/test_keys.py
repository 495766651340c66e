from __future__ import annotations

import os
import pty
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keyring
import pytest
from typer.testing import CliRunner, Result

from tests.cli.support import terminal
from tests.config.memory_keyring import MemoryKeyring, TroubledKeyring
from victor.cli.keys import app
from victor.config.api_keys import fingerprint
from victor.config.catalog import VENDORS
from victor.providers import registry
from victor.providers.scripted import MockLLM

SECRET = "sk-hunter2-ünïcode"
MARK = fingerprint(SECRET)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    for row in VENDORS.values():
        for variable in row.key_variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("VICTOR_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before, backend = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def memory_home(memory: MemoryKeyring, tmp_path: Path) -> Path:
    return tmp_path


def victor_keys(*arguments: str, stdin: str | bytes = "") -> Result:
    result = CliRunner().invoke(app, arguments, input=stdin)
    assert "hunter2" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


SET = {
    "command": ("set", "groq", "--allow-plaintext"),
    "option": ("--set", "groq", "--allow-plaintext"),
    "option with keyring": ("--set", "groq", "--keyring", "--allow-plaintext"),
    "stdin": ("set", "Groq", "--stdin", "--allow-plaintext"),
}


@pytest.mark.parametrize("arguments", SET.values(), ids=SET)
def test_a_key_is_stored_from_a_pipe(memory: MemoryKeyring, arguments: tuple[str, ...]) -> None:
    result = victor_keys(*arguments, stdin=f"{SECRET}\nanother line\n")
    assert result.exit_code == 0
    assert result.stdout == (
        f"stored the key of groq ({MARK}) in tests.config.memory_keyring.MemoryKeyring\n"
    )
    assert result.stderr == ""
    assert memory.values == {("victor", "groq"): SECRET}


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        ("", "no key for groq came on stdin, and nothing was stored"),
        (" \n", "no key for groq came on stdin, and nothing was stored"),
        (b"\xff\n", "is not UTF-8 text: not a key"),
        ("hunter2" * 10_000, "is longer than 65536 bytes: not a key"),
    ],
    ids=["nothing", "blank", "bytes", "a file"],
)
def test_what_cannot_be_a_key_is_a_usage_error(
    memory: MemoryKeyring, stdin: str | bytes, message: str
) -> None:
    result = victor_keys("set", "groq", "--allow-plaintext", stdin=stdin)
    assert result.exit_code == 2
    assert message in result.stderr
    assert memory.values == {}


def test_a_key_with_blanks_in_it_is_refused(memory: MemoryKeyring) -> None:
    result = victor_keys("set", "groq", "--allow-plaintext", stdin="hunter2 hunter2\n")
    assert result.exit_code == 78
    assert "has blanks or control characters in it" in result.stderr


def test_a_process_without_stdin_gets_a_clear_error(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    from victor.cli import keys
    from victor.cli.exits import UsageError

    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="there is no stdin to read the key for groq from"):
        keys._read_key("groq", stdin=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "groq", "sk-hunter2"),
        ("--set", "groq", "sk-hunter2"),
        ("sk-hunter2",),
        ("test", "groq", "sk-hunter2"),
        ("delete", "groq", "sk-hunter2"),
        ("list", "sk-hunter2"),
        ("--set", "groq", "--key=sk-hunter2"),
    ],
    ids=" ".join,
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(
    memory: MemoryKeyring, arguments: tuple[str, ...]
) -> None:
    result = victor_keys(*arguments, stdin="other\n")
    assert result.exit_code == 2
    assert memory.values == {}
    assert memory.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", "groq", "--list"),
        ("--set", "groq", "--delete", "groq"),
        ("--delete", "groq", "--test", "groq"),
        ("--keyring",),
        ("--list", "--stdin"),
        ("--delete", "groq", "--allow-plaintext"),
        ("--list", "list"),
        ("--set", "groq", "set", "xai"),
        ("set",),
    ],
    ids=" ".join,
)
def test_contradictions_are_usage_errors(memory: MemoryKeyring, arguments: tuple[str, ...]) -> None:
    assert victor_keys(*arguments, stdin=SECRET).exit_code == 2
    assert memory.values == {}


def test_a_keyring_that_does_not_encrypt_is_refused(memory: MemoryKeyring) -> None:
    result = victor_keys("set", "groq", stdin=SECRET)
    assert (result.exit_code, result.stdout) == (78, "")
    assert "is not known to encrypt what it stores; `--allow-plaintext` uses it" in result.stderr
    assert memory.values == {}


def test_an_unknown_provider_is_stored_with_a_note(memory: MemoryKeyring) -> None:
    result = victor_keys("set", "grok", "--allow-plaintext", stdin=SECRET)
    assert result.exit_code == 0
    assert result.stderr == "note: no provider of that name is installed; did you mean groq?\n"
    result = victor_keys("set", "zzz", "--allow-plaintext", stdin=SECRET)
    assert result.stderr == "note: no provider of that name is installed\n"


def test_a_name_that_cannot_be_one_is_refused(memory: MemoryKeyring) -> None:
    result = victor_keys("set", "../groq", "--allow-plaintext", stdin=SECRET)
    assert result.exit_code == 78
    assert "'../groq' is not a provider's name" in result.stderr


def test_a_variable_that_wins_over_the_stored_key_is_told(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "x")
    result = victor_keys("set", "groq", "--allow-plaintext", stdin=SECRET)
    assert result.stderr == (
        "note: environment variable GROQ_API_KEY is set, too, and is used instead\n"
    )
    result = victor_keys("delete", "groq")
    assert result.stdout == "deleted the key of groq from the keyring\n"
    assert result.stderr == "note: groq still has a key: GROQ_API_KEY is set\n"


@pytest.mark.parametrize(
    "arguments", [(), ("list",), ("--list",)], ids=["bare", "command", "option"]
)
def test_the_list_shows_places_and_fingerprints(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    assert victor_keys(*arguments).stderr == "no API keys; `victor keys set NAME` stores one\n"
    victor_keys("set", "groq", "--allow-plaintext", stdin=SECRET)
    monkeypatch.setenv("MISTRAL_API_KEY", SECRET)
    result = victor_keys(*arguments)
    assert result.exit_code == 0
    assert result.stdout == (
        "NAME     WHERE                                 FINGERPRINT\n"
        f"mistral  environment variable MISTRAL_API_KEY  {MARK}\n"
        f"groq     keyring                               {MARK}\n"
    )


def test_a_key_that_cannot_be_read_is_listed_with_the_reason(memory: MemoryKeyring) -> None:
    victor_keys("set", "groq", "--allow-plaintext", stdin=SECRET)
    keyring.set_keyring(TroubledKeyring())
    result = victor_keys("list")
    assert result.exit_code == 78
    assert "groq  keyring  not read\n" in result.stdout
    assert result.stderr == "groq: the keyring is locked; unlock it and try again\n"


def test_deleting_what_is_not_there_fails(memory: MemoryKeyring) -> None:
    result = victor_keys("--delete", "groq")
    assert (result.exit_code, result.stdout) == (78, "")
    assert "the keyring holds no key for groq" in result.stderr


class Vendor(BaseHTTPRequestHandler):
    """Lists two models to whoever has the key, or to anybody where there is none."""

    def do_GET(self) -> None:
        wanted, broken = self.server.wanted, self.server.broken  # type: ignore[attr-defined] # ours
        given = self.headers.get("authorization")
        status = 200 if wanted is None or given == f"Bearer {wanted}" else broken
        body = b'{"data": [{"id": "a"}, {"id": "b"}]}' if status == 200 else b'{"error": "no"}'
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@contextmanager
def vendor(
    folder: Path, wanted: str | None, broken: int = 401, *, needs_key: bool = True
) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.wanted, server.broken = wanted, broken  # type: ignore[attr-defined] # read by Vendor
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    file = folder / "config" / "victor" / "config.toml"
    file.parent.mkdir(parents=True)
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    needs = str(needs_key).lower()
    file.write_text(f'[providers.lab]\nbase_url = "{url}"\nneeds_key = {needs}')
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "arguments", [("test", "Lab"), ("--test", "lab")], ids=["command", "option"]
)
def test_a_good_key_is_accepted(
    memory: MemoryKeyring,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setenv("LAB_API_KEY", "sk-hunter2")
    with vendor(tmp_path, "sk-hunter2"):
        result = victor_keys(*arguments)
    place = f"environment variable LAB_API_KEY ({fingerprint('sk-hunter2')})"
    assert result.stdout == f"lab accepts the key from {place} and lists 2 models\n"
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("vendors", "key", "code", "output"),
    [
        (("right", 401), "hunter2", 77, "victor: error: "),
        (
            ("right", 401),
            "",
            77,
            "no API key for lab: set LAB_API_KEY, or store one with `victor keys set lab`",
        ),
        ((None, 401), "hunter2", 0, "lab lists 2 models to anybody: that proves nothing about the"),
        (("hunter2", 500), "hunter2", 0, "lab answers with the key from environment variable"),
        (("right", 500), "hunter2", 75, "victor: error: "),
    ],
    ids=["refused", "no key", "not checked", "the second question fails", "vendor down"],
)
def test_a_test_says_what_it_proved(
    memory_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    vendors: tuple[str | None, int],
    key: str,
    code: int,
    output: str,
) -> None:
    monkeypatch.setenv("LAB_API_KEY", key)
    with vendor(memory_home, *vendors):
        result = victor_keys("test", "lab")
    assert result.exit_code == code
    assert output in result.output


def test_a_provider_that_lists_no_models_cannot_be_tested(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(MockLLM):
        pass

    monkeypatch.setitem(registry._registered(), "silent", Silent)
    monkeypatch.setenv("SILENT_API_KEY", "hunter2")
    result = victor_keys("test", "silent")
    assert result.exit_code == 78
    assert "silent cannot be tested: it has no list of models to ask for" in result.stderr


def test_a_server_without_keys_is_tested_without_one(memory_home: Path) -> None:
    with vendor(memory_home, None, needs_key=False):
        result = victor_keys("test", "lab")
    assert (result.exit_code, result.stdout) == (0, "lab lists 2 models without a key\n")


def test_a_test_of_what_has_no_key_says_so(memory: MemoryKeyring) -> None:
    result = victor_keys("test", "local")
    assert (result.exit_code, result.stdout) == (
        0,
        "local is the embedded model and needs no key\n",
    )
    result = victor_keys("test", "zzz")
    assert result.exit_code == 77
    assert "no API key for zzz" in result.stderr


@pytest.mark.parametrize(
    ("typed", "code", "output"),
    [
        (SECRET + "\n", 0, f"stored the key of groq ({MARK})"),
        ("\n", 2, "no key for groq was typed, and nothing was stored"),
        ("\x04", 2, "no key for groq was typed, and nothing was stored"),
        ("hunter2\x03", 130, ""),
    ],
    ids=["key", "nothing", "Ctrl-D", "Ctrl-C"],
)
def test_a_key_typed_at_the_prompt_is_not_shown(
    tmp_path: Path, environ: dict[str, str], typed: str, code: int, output: str
) -> None:
    environ["PYTHON_KEYRING_BACKEND"] = "tests.config.memory_keyring.MemoryKeyring"
    arguments = ("keys", "set", "groq", "--allow-plaintext")
    with terminal(arguments, cwd=tmp_path, environ=environ) as screen:
        screen.see("API key for groq (it is not shown): ")
        screen.type(typed)
        assert screen.end() == code, screen.text
        assert output in screen.text
        assert "hunter2" not in screen.text
        assert "Traceback" not in screen.text


def test_a_terminal_that_cannot_hide_the_key_is_not_used(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    import getpass

    from victor.cli import keys
    from victor.cli.exits import UsageError

    ours, theirs = pty.openpty()
    with os.fdopen(ours, "w+b", buffering=0), os.fdopen(theirs, encoding="utf-8") as typing:
        monkeypatch.setattr(sys, "stdin", typing)
        # What getpass is where there is no termios.
        monkeypatch.setattr(getpass, "getpass", vars(getpass)["fallback_getpass"])
        with pytest.raises(UsageError, match="would show the key; pipe it"):
            keys._read_key("groq", stdin=False)
