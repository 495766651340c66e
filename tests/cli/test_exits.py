from __future__ import annotations

import re

import httpx
import pytest
import typer

from victor.cli.exits import (
    ExitCode,
    TimeLimitError,
    UsageError,
    boundary,
    exit_code,
    next_step,
    print_bug,
    print_error,
    retry_after,
)
from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ContentFilterError,
    ContextWindowExceededError,
    MissingDependencyError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    ProviderTLSError,
    StreamInterruptedError,
    UnknownProviderError,
    WeightsMissingError,
)


class _AuthorsError(ProviderError):
    pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (ConfigError("x"), 78),
        (MissingDependencyError("x"), 78),
        (UnknownProviderError("x"), 78),
        (WeightsMissingError("x", command="victor models pull m"), 78),
        (TimeLimitError("x"), 124),
        (TimeoutError(), 124),
        (ProviderAuthError("x"), 77),
        (ProviderPermissionError("x"), 77),
        (ProviderError("x", status_code=401), 77),
        (ProviderRateLimitError("x"), 75),
        (ProviderOverloadedError("x"), 75),
        (ProviderServerError("x"), 75),
        (ProviderConnectionError("x"), 75),
        (ProviderTimeoutError("x"), 75),
        (ProviderInvalidResponseError("x"), 75),
        (StreamInterruptedError("x"), 75),
        (CircuitOpenError("x"), 75),
        (ProviderError("x", status_code=503), 75),
        (ProviderError("x", status_code=429), 75),
        (ProviderQuotaError("x", retry_after=3600), 75),
        (ProviderQuotaError("x"), 1),
        (ProviderTLSError("x"), 1),
        (ProviderInvalidRequestError("x", status_code=400), 1),
        (ModelNotFoundError("x"), 1),
        (ContentFilterError("x"), 1),
        (ProviderError("x"), 1),
        (ProviderError("x", status_code=404), 1),
        (_AuthorsError("x", status_code=503), 75),
        (BrokenPipeError(), 141),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 1),
        (ConnectionRefusedError(111, "x"), 75),
        (httpx.ConnectError("x"), 75),
    ],
    ids=lambda value: repr(value) if isinstance(value, BaseException) else str(value),
)
def test_every_kind_of_failure_has_its_code(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (WeightsMissingError("x", command="victor models pull m"), "victor models pull m"),
        (ProviderAuthError("x", provider="groq"), "victor keys set groq"),
        (ProviderAuthError("x"), "victor keys set NAME"),
        (ProviderPermissionError("x", provider="groq"), None),
        (UnknownProviderError("x"), "victor providers"),
        (UsageError("x"), None),
        (ConfigError("x"), "victor doctor"),
        (ProviderConnectionError("x"), "victor doctor"),
        (ModelNotFoundError("x"), "choose another model (--model; in a conversation, /model)"),
        (
            ContextWindowExceededError("x"),
            "ask for less, or choose a model with a larger window (--model)",
        ),
        (ProviderError("x"), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_comes_with_the_next_step(error: BaseException, step: str | None) -> None:
    assert next_step(error) == step


def test_trying_later_says_when() -> None:
    error = CircuitOpenError("closed for now", retry_at=5.0, retry_after=32.0)
    step = next_step(error)
    assert step is not None
    assert re.fullmatch(r"try again at \d\d:\d\d:\d\d \(in 32 s\)", step)
    assert retry_after(error) == 32.0
    assert retry_after(ProviderInvalidRequestError("x", retry_after=9)) is None


def test_a_printed_error_is_two_harmless_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ProviderAuthError("bad\nkey \x1b]52;c;x\x07\x1b[2J[/bold]", provider="groq"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "victor: error: bad key [/bold]\nnext: victor keys set groq\n"


def test_a_step_that_the_message_names_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(WeightsMissingError("run: victor models pull m", command="victor models pull m"))
    assert capsys.readouterr().err == "victor: error: run: victor models pull m\n"


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("pass base_url (--base-url URL)", 1),
        ("no such rule; `victor permissions list` shows them", 1),
        ("config.toml: mode: expected one of ask, plan", 2),
    ],
    ids=["flag", "command", "neither"],
)
def test_doctor_is_for_messages_that_name_no_way_out(
    message: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(ConfigError(message))
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_an_error_without_a_text_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(TimeLimitError())
    assert capsys.readouterr().err == "victor: error: TimeLimitError\n"


def test_a_connection_that_failed_is_no_bug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VICTOR_DEBUG", raising=False)
    print_bug(httpx.ConnectError("All connection attempts failed"))
    assert capsys.readouterr().err == (
        "victor: error: ConnectError: All connection attempts failed\nnext: victor doctor\n"
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("x"), ExitCode.CONFIG), (KeyboardInterrupt(), ExitCode.INTERRUPTED)],
    ids=["config", "ctrl-c"],
)
def test_the_boundary_turns_an_error_into_an_exit(error: BaseException, code: int) -> None:
    with pytest.raises(typer.Exit) as caught, boundary():
        raise error
    assert caught.value.exit_code == code


def test_a_bug_passes_the_boundary() -> None:
    with pytest.raises(ZeroDivisionError), boundary():
        raise ZeroDivisionError
