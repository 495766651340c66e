from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend
from typer.testing import CliRunner

from tests.cli.support import terminal
from tests.config.memory_keyring import MemoryKeyring, TroubledKeyring
from victor.cli import doctor
from victor.cli.doctor import Finding, app, findings
from victor.config.api_keys import store_api_key
from victor.config.catalog import VENDORS
from victor.sandbox.bubblewrap import Bubblewrap

NAMES = [
    "victor",
    "terminal",
    "settings",
    "sandbox",
    "keyring",
    "keys",
    "provider",
    "local engine",
    "local model",
]


class Encrypting(MemoryKeyring):
    pass


Encrypting.__module__ = "keyring.backends.SecretService"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine where nothing is set, with a keyring and an engine that loads at once."""
    for row in VENDORS.values():
        for variable in row.key_variables:
            monkeypatch.delenv(variable, raising=False)
    for variable in ("CONFIG", "PROVIDER", "MODEL", "BASE_URL", "LOCAL_MODEL"):
        monkeypatch.delenv(f"VICTOR_{variable}", raising=False)
    for kind in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path))
    package(tmp_path, monkeypatch, "")
    (tmp_path / "victor").mkdir()
    monkeypatch.setattr("victor.sandbox.run._found", lambda: (Bubblewrap(Path("/bwrap")), ""))
    before = keyring.get_keyring()
    keyring.set_keyring(Encrypting())
    yield tmp_path
    keyring.set_keyring(before)


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a package called xllamacpp before the real one, here and in children."""
    (folder / "xllamacpp.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def settings(home: Path, text: str) -> None:
    (home / "victor" / "config.toml").write_text(text)


def found() -> dict[str, Finding]:
    rows = list(findings())
    assert [row.name for row in rows] == NAMES
    return {row.name: row for row in rows}


def test_a_fresh_machine_is_well_and_says_how_to_go_on() -> None:
    rows = found()
    assert {name: row.status for name, row in rows.items()} == {
        **dict.fromkeys(NAMES, "ok"),
        "local model": "warn",
    }
    assert rows["keys"].detail == "none: `victor keys set NAME` adds one"
    assert rows["provider"].detail == "local (the embedded model: no API key found)"
    assert rows["local model"].next == "victor models pull qwen2.5-coder-0.5b"
    result = CliRunner().invoke(app)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ok"] * 8 + ["warn"]


def test_json_carries_every_finding() -> None:
    result = CliRunner().invoke(app, ["--json"])
    report = json.loads(result.stdout)
    assert (report["version"], report["ok"]) == (1, True)
    assert [row["name"] for row in report["checks"]] == NAMES
    assert set(report["checks"][0]) == {"name", "status", "detail", "next"}


def test_broken_settings_fail_and_what_depends_on_them_says_so(home: Path) -> None:
    settings(home, "modle = 1")
    rows = found()
    assert rows["settings"].status == "fail"
    assert "did you mean mode or model?" in rows["settings"].detail
    for name in ("sandbox", "keys", "provider"):
        assert rows[name] == Finding(name, "fail", "not checked: the settings cannot be read")
    assert rows["keyring"].status == "ok"
    result = CliRunner().invoke(app)
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_good_settings_are_named_by_their_file(home: Path) -> None:
    settings(home, 'mode = "plan"')
    assert found()["settings"] == Finding("settings", "ok", f"{home}/victor/config.toml")


@pytest.mark.parametrize(
    ("mode", "status", "detail"),
    [
        ("auto", "warn", "none, so every command asks first: no namespaces"),
        ("required", "fail", "none, so no command runs: no namespaces"),
        ("off", "warn", "off: commands run with all your rights"),
    ],
)
def test_a_missing_sandbox_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, mode: str, status: str, detail: str
) -> None:
    monkeypatch.setattr("victor.sandbox.run._found", lambda: (None, "no namespaces"))
    settings(home, f'sandbox = "{mode}"')
    row = found()["sandbox"]
    assert (row.status, row.detail) == (status, detail)
    assert (row.next is None) == (mode == "off")


def test_what_commands_may_have_is_told(home: Path) -> None:
    assert "and have no network;" in found()["sandbox"].detail
    settings(home, 'sandbox_network = true\nsandbox_variables = ["CI", "NPM_TOKEN"]')
    row = found()["sandbox"]
    assert row.status == "ok"
    assert "and have the network;" in row.detail
    assert row.detail.endswith("; commands get these variables, too: CI, NPM_TOKEN")


def test_a_keyring_that_cannot_be_used_is_a_warning_with_the_other_ways() -> None:
    null: Callable[[], KeyringBackend] = keyring.backends.null.Keyring
    keyring.set_keyring(null())
    assert found()["keyring"] == Finding(
        "keyring",
        "warn",
        "the keyring is switched off (keyring's null backend)",
        "keep keys in the environment, or set key_command",
    )


def test_keys_are_named_by_their_place_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "hunter2")
    store_api_key("xai", "hunter2")
    rows = found()
    assert rows["keys"].detail == "groq: environment variable GROQ_API_KEY; xai: keyring"
    assert rows["provider"].status == "ok"
    assert rows["local model"].status == "ok"
    assert "hunter2" not in str(rows)


def test_a_key_in_a_locked_keyring_is_a_warning() -> None:
    store_api_key("groq", "hunter2")
    keyring.set_keyring(TroubledKeyring())
    rows = found()
    assert rows["keys"].detail == "groq: the keyring is locked; unlock it and try again"
    assert rows["keys"].status == "warn"
    assert rows["provider"].status == "warn"
    assert rows["provider"].detail.endswith("(its key is in the keyring); its key cannot be read")


@pytest.mark.parametrize(
    ("name", "status", "end", "step"),
    [
        ("groq", "warn", "; no key is known", "victor keys set groq"),
        (
            "openai-compatible",
            "fail",
            "; it has no address",
            "set base_url under [providers.openai-compatible] in the settings, or VICTOR_BASE_URL",
        ),
        (
            "opnai",
            "fail",
            "did you mean openai? `victor providers` lists them all",
            "victor providers",
        ),
        ("ollama", "ok", "ollama (VICTOR_PROVIDER)", None),
    ],
)
def test_the_chosen_provider_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, name: str, status: str, end: str, step: str | None
) -> None:
    monkeypatch.setenv("VICTOR_PROVIDER", name)
    row = found()["provider"]
    assert (row.status, row.next) == (status, step)
    assert row.detail.endswith(end)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (
            "raise ImportError('libgomp.so.1: cannot open shared object')",
            "apt-get install libgomp1",
        ),
        ("raise ImportError('something else')", "--force-reinstall 'victor[local]'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "needs a processor with AVX2"),
    ],
    ids=["libgomp", "broken package", "no AVX2"],
)
def test_an_engine_that_does_not_load_fails_where_it_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, code: str, cause: str
) -> None:
    package(home, monkeypatch, code)
    row = found()["local engine"]
    assert row.status == "fail"
    assert cause in row.detail
    monkeypatch.setenv("VICTOR_PROVIDER", "ollama")
    assert found()["local engine"].status == "warn"


def test_an_engine_that_never_loads_is_given_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(home, monkeypatch, "import threading; threading.Event().wait()")
    monkeypatch.setattr(doctor, "_IMPORT_TIMEOUT_S", 0.2)
    row = found()["local engine"]
    assert (row.status, row.detail) == ("fail", "xllamacpp did not load in 0.2 s")


def test_an_engine_that_is_not_installed_names_the_pip_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # None in sys.modules is Python's own mark for a module that must not be found.
    monkeypatch.setattr(sys, "path", [place for place in sys.path if "packages" not in place][1:])
    row = found()["local engine"]
    assert (row.status, row.next) == ("fail", "pip install 'victor[local]'")
    monkeypatch.setenv("VICTOR_PROVIDER", "ollama")
    assert found()["local engine"].status == "ok"


def test_a_file_in_the_working_directory_is_not_run_as_the_engine(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path_factory.mktemp("repository")
    (repository / "xllamacpp.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(repository)
    assert found()["local engine"].status == "ok"
    assert not (repository / "ran").exists()


@pytest.mark.parametrize(
    ("model", "status", "detail"),
    [
        ("good.gguf", "ok", "good.gguf"),
        ("bad.gguf", "fail", "is not a GGUF model"),
        ("none.gguf", "fail", "There is no file"),
    ],
)
def test_the_embedded_models_file_is_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: str, status: str, detail: str
) -> None:
    (home / "good.gguf").write_bytes(b"GGUF....")
    (home / "bad.gguf").write_bytes(b"no")
    monkeypatch.setenv("VICTOR_LOCAL_MODEL", str(home / model))
    row = found()["local model"]
    assert row.status == status
    assert detail in row.detail


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    # No stream at all: what a program without a console has.
    monkeypatch.setattr(sys, "stdout", None)
    row = found()["terminal"]
    assert row.status == "fail"
    assert row.detail.startswith("cannot be checked: AttributeError: ")


@pytest.mark.parametrize(
    ("encoding", "status"), [("ascii", "warn"), ("latin-1", "warn"), ("utf-8", "ok")]
)
def test_a_terminal_that_cannot_show_every_letter_is_a_warning(encoding: str, status: str) -> None:
    code = (
        "from victor.cli.doctor import findings\n"
        "print(next(row for row in findings() if row.name == 'terminal').status)"
    )
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{status}\n"


@pytest.mark.parametrize("plain", [False, True], ids=["colours", "NO_COLOR"])
def test_colours_are_for_terminals_that_want_them(
    tmp_path: Path, environ: dict[str, str], plain: bool
) -> None:
    environ |= {"NO_COLOR": "1"} if plain else {}
    with terminal(["doctor"], cwd=tmp_path, environ=environ) as screen:
        screen.see("local model")
        assert screen.end() in {0, 1}
        assert (b"\x1b[32mok" in screen.raw) is not plain
        assert "next: " in screen.text
