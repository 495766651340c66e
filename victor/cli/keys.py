"""`victor keys`: store, add, list, remove, delete and test API keys.

A key is typed at a hidden prompt or comes through a pipe, never on the command line, and nothing
here prints one: keys show as fingerprints. Knows nothing about where keys are looked for.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

import typer
from typer.core import TyperGroup

from victor.cli.exits import ExitCode, UsageError, boundary

if TYPE_CHECKING:
    from victor.config.api_keys import FoundKey

__all__ = ["app", "test_key"]

_LONGEST_KEY = 65_536
_FINGERPRINT = re.compile(r"[0-9a-f]{8}")

_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The provider, such as openai.", show_default=False)
]
_Stdin = Annotated[bool, typer.Option("--stdin", help="Read the key from stdin.")]
_Plaintext = Annotated[
    bool,
    typer.Option("--allow-plaintext", help="Also use a keyring that is not known to encrypt."),
]


_UNEXPECTED = (
    "there is one word too many (it may be a key, so it is not repeated here). A key never goes on "
    "the command line, where the shell's history keeps it: run `victor keys set NAME` and paste it "
    "at the prompt. If this was one, it was not stored, and is best replaced"
)


class _Group(TyperGroup):
    # typer's own message repeats the word it does not know, and here that may be a key.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            ctx.fail(f"the commands are {', '.join(self.commands)}; {_UNEXPECTED}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Group,
    help="Store, add, list, remove, delete and test API keys.",
    add_completion=False,
    rich_markup_mode=None,
)
_EXTRA = {"allow_extra_args": True}


@app.callback(invoke_without_command=True)
def keys(
    context: typer.Context,
    *,
    set_: Annotated[
        str | None, typer.Option("--set", metavar="NAME", help="As `set NAME`.")
    ] = None,
    keyring: Annotated[
        bool, typer.Option("--keyring", help="With --set: into the keyring (the only place).")
    ] = False,
    stdin: _Stdin = False,
    allow_plaintext: _Plaintext = False,
    list_: Annotated[bool, typer.Option("--list", help="As `list`, and as no option.")] = False,
    delete: Annotated[str | None, typer.Option(metavar="NAME", help="As `delete NAME`.")] = None,
    test: Annotated[str | None, typer.Option(metavar="NAME", help="As `test NAME`.")] = None,
) -> None:
    """Store, list, delete and test API keys."""
    actions = [action for action in (set_, delete, test) if action is not None]
    with boundary():
        if context.invoked_subcommand is not None:
            if actions or list_ or keyring or stdin or allow_plaintext:
                raise UsageError("use either a command (`set NAME`) or its option (`--set NAME`)")
            return
        if len(actions) + list_ > 1:
            raise UsageError("use one of --set, --list, --delete and --test at a time")
        if set_ is None and (keyring or stdin or allow_plaintext):
            raise UsageError("--keyring, --stdin and --allow-plaintext go with --set NAME")
        if set_ is not None:
            _set(set_, stdin=stdin, allow_plaintext=allow_plaintext)
        elif delete is not None:
            _delete(delete)
        elif test is not None:
            _test(test)
        else:
            _list()


@app.command("set", context_settings=_EXTRA)
def set_command(
    context: typer.Context,
    name: _Name,
    stdin: _Stdin = False,
    allow_plaintext: _Plaintext = False,
) -> None:
    """Put a key into the system's keyring.

    It is typed at a prompt, where it is not shown, or read from a pipe: one line.
    """
    with boundary():
        _nothing_more(context)
        _set(name, stdin=stdin, allow_plaintext=allow_plaintext)


@app.command("add", context_settings=_EXTRA)
def add_command(
    context: typer.Context,
    name: _Name,
    stdin: _Stdin = False,
    allow_plaintext: _Plaintext = False,
) -> None:
    """Add a further key, to go on with where another is refused."""
    with boundary():
        _nothing_more(context)
        _add(name, stdin=stdin, allow_plaintext=allow_plaintext)


@app.command("remove", context_settings=_EXTRA)
def remove_command(
    context: typer.Context,
    name: _Name,
    mark: Annotated[
        str, typer.Argument(metavar="FINGERPRINT", help="Which key, as `list` shows it.")
    ],
) -> None:
    """Remove one of several keys from the system's keyring."""
    with boundary():
        _nothing_more(context)
        _remove(name, mark)


@app.command("list", context_settings=_EXTRA)
def list_command(context: typer.Context) -> None:
    """Show where keys are found, and their fingerprints."""
    with boundary():
        _nothing_more(context)
        _list()


@app.command("delete", context_settings=_EXTRA)
def delete_command(context: typer.Context, name: _Name) -> None:
    """Remove all keys of a provider from the system's keyring."""
    with boundary():
        _nothing_more(context)
        _delete(name)


@app.command("test", context_settings=_EXTRA)
def test_command(context: typer.Context, name: _Name) -> None:
    """Ask the provider whether it accepts the key; costs no tokens."""
    with boundary():
        _nothing_more(context)
        _test(name)


def _nothing_more(context: typer.Context) -> None:
    if context.args:
        raise UsageError(_UNEXPECTED)


def _set(name: str, *, stdin: bool, allow_plaintext: bool) -> None:
    from victor.config.api_keys import find_api_key, fingerprint, store_api_key
    from victor.config.settings import load_settings

    settings, name = load_settings(), name.strip().lower()
    value = _read_key(name, stdin=stdin)
    backend = store_api_key(name, value, allow_plaintext=allow_plaintext)
    typer.echo(f"stored the key of {name} ({fingerprint(value.strip())}) in {backend}")
    found = find_api_key(name, settings=settings)
    if found and found.source != "keyring":
        typer.echo(f"note: {found.source} is set, too, and is used instead", err=True)
    if name not in settings.vendors():
        _note_unknown(name)


def _add(name: str, *, stdin: bool, allow_plaintext: bool) -> None:
    from victor.config.api_keys import add_api_key, find_api_keys, fingerprint
    from victor.config.settings import load_settings

    name = name.strip().lower()
    value = _read_key(name, stdin=stdin)
    mark = fingerprint(value.strip())
    backend = add_api_key(name, value, allow_plaintext=allow_plaintext)
    if backend is None:
        typer.echo(f"the key {mark} of {name} is there already")
        return
    settings = load_settings()
    found = find_api_keys(name, settings=settings)
    many = f", which has {len(found)} keys now" if len(found) > 1 else ""
    typer.echo(f"added the key {mark} to {name} in {backend}{many}")
    if found and found[0].source != "keyring":
        typer.echo(f"note: {found[0].source} is set, too, and is used instead", err=True)
    if name not in settings.vendors():
        _note_unknown(name)


def _remove(name: str, mark: str) -> None:
    from victor.config.api_keys import remove_api_key

    name, mark = name.strip().lower(), mark.strip().lower()
    if not _FINGERPRINT.fullmatch(mark):
        raise UsageError(
            "what follows the name is not a fingerprint (it may be a key, so it is not repeated "
            "here): `victor keys list` shows the fingerprints"
        )
    remove_api_key(name, mark)
    typer.echo(f"removed the key {mark} of {name} from the keyring")


def _read_key(name: str, *, stdin: bool) -> str:
    if sys.stdin is None:
        raise UsageError(f"there is no stdin to read the key for {name} from")
    if not stdin and sys.stdin.isatty():
        return _ask(name)
    line = sys.stdin.buffer.readline(_LONGEST_KEY + 1)
    if len(line) > _LONGEST_KEY:
        raise UsageError(f"the first line on stdin is longer than {_LONGEST_KEY} bytes: not a key")
    try:
        value = line.decode()
    except UnicodeDecodeError:
        raise UsageError("the first line on stdin is not UTF-8 text: not a key") from None
    if not value.strip():
        raise UsageError(f"no key for {name} came on stdin, and nothing was stored")
    return value


def _ask(name: str) -> str:
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            value = getpass.getpass(f"API key for {name} (it is not shown): ")
    except getpass.GetPassWarning:
        raise UsageError(
            f"this terminal would show the key; pipe it: `victor keys set {name} --stdin`"
        ) from None
    except EOFError:
        value = ""
    if not value.strip():
        raise UsageError(f"no key for {name} was typed, and nothing was stored")
    return value


def _note_unknown(name: str) -> None:
    from difflib import get_close_matches

    from victor.providers.registry import list_providers

    known = list_providers()
    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    typer.echo(f"note: no provider of that name is installed{hint}", err=True)


def _list() -> None:
    from victor.cli.sanitize import one_line
    from victor.config.api_keys import list_api_keys

    rows = list_api_keys()
    if not rows:
        typer.echo("no API keys; `victor keys set NAME` stores one", err=True)
        return
    cells = [("NAME", "WHERE", "FINGERPRINT")]
    cells += [(row.name, row.source, row.fingerprint or "not read") for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in (0, 1)]
    for name, source, mark in cells:
        typer.echo(f"{one_line(name):<{widths[0]}}  {source:<{widths[1]}}  {mark}")
    problems = [row for row in rows if row.problem]
    for row in problems:
        typer.echo(f"{row.name}: {row.problem}", err=True)
    if problems:
        raise typer.Exit(ExitCode.CONFIG)


def _delete(name: str) -> None:
    from victor.config.api_keys import delete_api_key, key_hint

    many = delete_api_key(name)
    typer.echo(f"deleted the {f'{many} keys' if many > 1 else 'key'} of {name} from the keyring")
    if hint := key_hint(name):
        typer.echo(f"note: {name} still has a key: {hint}", err=True)


def _test(name: str) -> None:
    from victor.cli.sanitize import one_line
    from victor.config.api_keys import find_api_keys, fingerprint
    from victor.config.catalog import DEFAULT_PROVIDER
    from victor.errors import ProviderAuthError

    name = name.strip().lower()
    keys = [] if name == DEFAULT_PROVIDER else find_api_keys(name)
    if len(keys) < 2:
        typer.echo(one_line(test_key(name, keys[0] if keys else None)))
        return
    refused = False
    for key in keys:
        try:
            typer.echo(one_line(test_key(name, key)))
        except ProviderAuthError as error:
            refused = True
            which = f"the key from {key.source} ({fingerprint(key.value)})"
            typer.echo(one_line(f"{name} refuses {which}: {error}"), err=True)
    if refused:
        raise typer.Exit(ExitCode.AUTH)


@runtime_checkable
class _ListsModels(Protocol):
    async def list_models(self) -> list[str]: ...


def test_key(name: str, found: FoundKey | None) -> str:
    """Ask a provider for its models with a key, then with a wrong one.

    The second question tells whether the first proved anything: some vendors list their models to
    anybody.

    Args:
        name: the provider's name.
        found: the key and where it was found; None if there is none.

    Returns:
        One line that says what was proved.

    Raises:
        ProviderAuthError: there is no key, or it was refused.
        ProviderError: the provider did not answer.
        ConfigError: there is no such provider, or it cannot list its models.
    """
    from victor.config.api_keys import fingerprint, missing_key_message
    from victor.config.catalog import DEFAULT_PROVIDER
    from victor.config.settings import load_settings
    from victor.errors import ProviderAuthError, ProviderError

    settings = load_settings()
    if name == DEFAULT_PROVIDER:
        return f"{name} is the embedded model and needs no key"
    row = settings.vendors().get(name)
    if found is None and (row is None or row.needs_key):
        raise ProviderAuthError(missing_key_message(name, settings=settings), provider=name)
    count = len(asyncio.run(_models(name, found.value if found else None)))
    if found is None:
        return f"{name} lists {count} models without a key"
    which = f"the key from {found.source} ({fingerprint(found.value)})"
    try:
        asyncio.run(_models(name, "victor-keys-test-wrong-key"))
    except ProviderAuthError:
        return f"{name} accepts {which} and lists {count} models"
    except ProviderError:
        return f"{name} answers with {which} and lists {count} models"
    return f"{name} lists {count} models to anybody: that proves nothing about {which}"


async def _models(name: str, api_key: str | None) -> list[str]:
    from victor.errors import ConfigError
    from victor.providers.registry import create_provider

    async with create_provider(name, api_key=api_key, max_retries=0) as provider:
        if not isinstance(provider, _ListsModels):
            raise ConfigError(f"{name} cannot be tested: it has no list of models to ask for")
        return await provider.list_models()
