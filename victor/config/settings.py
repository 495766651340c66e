"""The user's settings: one TOML file, then the environment, then defaults.

Only the user's own file is ever read; a repository cannot set anything here. Knows nothing about
keys' values (they do not belong in a file), about which provider is used, or about the terminal.

Example of a whole file:

    provider = "openai"
    model = "gpt-5-mini"
    mode = "ask"
    fallback = ["anthropic", "local"]

    [key_command]
    openai = ["pass", "show", "openai"]

    [providers.mylab]
    base_url = "https://llm.mylab.example/v1"
    default_model = "large"

    [models."large*"]
    context_window = 32768
    vision = true
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from victor.config.catalog import VENDORS, AuthName, EffortName, Vendor, WireName
from victor.config.checks import (
    Check,
    WrongSettingError,
    by_pattern,
    by_provider,
    checked,
    day,
    flag,
    integer,
    one_of,
    price,
    seconds,
    table,
    text,
    texts,
    url,
    words,
)
from victor.config.fallbacks import Fallback, fallbacks
from victor.config.mcp_servers import McpServer, mcp_servers
from victor.config.model_capabilities import ModelData, ModelRow
from victor.config.rule_texts import RuleTexts, rule_texts
from victor.config.toml_file import parsed_toml, read_toml
from victor.errors import ConfigError

__all__ = [
    "Failover",
    "Mode",
    "ProviderSettings",
    "SandboxMode",
    "Settings",
    "config_path",
    "default_key_variable",
    "load_settings",
    "state_path",
]

Mode: TypeAlias = Literal["ask", "accept-edits", "plan", "auto"]
"""What the agent may do without asking."""

Failover: TypeAlias = Literal["ask", "auto", "never"]
"""Whether a fallback may answer where the chosen provider cannot."""

SandboxMode: TypeAlias = Literal["auto", "required", "off"]
"""Whether commands are confined: where that is possible (else each asks), always, or never."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One `[providers.NAME]` table; None leaves the catalog's or the provider's own default."""

    base_url: str | None = None
    """Where the API is; on a new name this adds a vendor, OpenAI-compatible unless `wire` says."""
    wire: WireName | None = None
    """The protocol; see `victor.config.catalog.WireName`."""
    auth: AuthName | None = None
    """How the key is sent; for a new name: as the protocol's own vendor wants it."""
    default_model: str | None = None
    embedding_model: str | None = None
    key_variables: tuple[str, ...] | None = None
    """Environment variables that may hold the key; `NAME_API_KEY` for a new name."""
    needs_key: bool | None = None
    """Whether a missing key is worth a warning; for a new name: whether `base_url` is https."""
    azure: bool | None = None
    tool_mode: Literal["native", "constrained"] | None = None
    stream_options: bool | None = None
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] | None = None
    strict_fields: bool | None = None
    effort: EffortName | None = None
    reasoning_name: Literal["reasoning_content", "reasoning"] | None = None
    mistral: bool | None = None
    alternating: bool | None = None
    lacks: tuple[str, ...] | None = None
    models: Mapping[str, ModelData] = field(default_factory=lambda: MappingProxyType({}))
    """As `Settings.models`, for the models of this provider alone."""
    timeout: float | None = None
    """Seconds."""
    max_retries: int | None = None
    """Extra attempts after the first."""
    requests_per_minute: int | None = None
    """How many requests this process sends at most; more of them wait."""
    tokens_per_minute: int | None = None
    """The same for tokens, as far as they can be estimated before."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has set; everything has a default."""

    provider: str | None = None
    """From the file alone: `choose_provider` weighs it against flags and the environment."""
    model: str | None = None
    """From the file alone, like `provider`."""
    mode: Mode = "ask"
    max_turns: int = 50
    sandbox: SandboxMode = "auto"
    sandbox_network: bool = False
    """Whether confined commands may use the network."""
    sandbox_variables: tuple[str, ...] = ()
    """Names of environment variables that commands get beside the harmless ones."""
    permissions: RuleTexts = field(default_factory=RuleTexts)
    fallback: tuple[Fallback, ...] = ()
    """Who may answer where the chosen provider cannot, best first."""
    failover: Failover = "ask"
    quality_floor: int | None = None
    """No fallback of a lower quality is used; each needs one then."""
    key_command: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Provider name to the program (an argument list, no shell) that prints its key."""
    providers: Mapping[str, ProviderSettings] = field(default_factory=lambda: MappingProxyType({}))
    models: Mapping[str, ModelData] = field(default_factory=lambda: MappingProxyType({}))
    """What the user knows about models, by patterns such as `"large*"`; it wins over victor's."""
    mcp: Mapping[str, McpServer] = field(default_factory=lambda: MappingProxyType({}))
    """Servers that lend the agent their tools, by name."""
    path: Path | None = None
    """The file these settings came from; None where there is none."""

    def model_rows(self) -> tuple[ModelRow, ...]:
        """Return what the user knows about models, the strongest last, for `model_data`."""
        rows = [ModelRow(pattern, data) for pattern, data in self.models.items()]
        for name, own in self.providers.items():
            rows += [ModelRow(pattern, data, (name,)) for pattern, data in own.models.items()]
        return tuple(rows)

    def vendors(self) -> Mapping[str, Vendor]:
        """Return the catalog with the user's changes, and their own vendors after it."""
        rows = dict(VENDORS)
        for name, own in self.providers.items():
            if (row := rows.get(name)) is None:
                if own.base_url is None:
                    continue  # settings for "local" or for a provider that a package brings
                auth = _AUTH.get(own.wire or "openai-chat", "bearer")
                row = Vendor(
                    name,
                    own.base_url,
                    (default_key_variable(name),),
                    needs_key=own.base_url.startswith("https:") and auth != "aws",
                    auth=auth,
                    about=f"from {self.path}" if self.path else "your own",
                )
            rows[name] = _changed(row, own)
        return MappingProxyType(rows)


_ROW_FIELDS = frozenset(item.name for item in fields(Vendor))
_AUTH: Mapping[WireName, AuthName] = MappingProxyType(
    {"anthropic": "x-api-key", "bedrock": "aws", "gemini": "x-goog-api-key"}
)


def _changed(row: Vendor, own: ProviderSettings) -> Vendor:
    pairs = ((item.name, getattr(own, item.name)) for item in fields(own))
    changes = {name: value for name, value in pairs if name in _ROW_FIELDS and value is not None}
    if own.base_url is not None:
        row = row.at(own.base_url)
        changes["url_variables"] = ()  # the file wins over the environment
    if own.wire is not None:
        changes["wire_elsewhere"] = None
    return replace(row, **changes)


def default_key_variable(name: str) -> str:
    """Return the variable that holds the key of a provider without a catalog row."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_API_KEY"


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the settings file is, or would be.

    `VICTOR_CONFIG` names the file itself; `XDG_CONFIG_HOME` the directory above
    `victor/config.toml`; otherwise it is the platform's place for a user's settings.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get("VICTOR_CONFIG", "").strip():
        return Path(named)
    return _user_directory("config", environ) / "config.toml"


def state_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return the directory for what victor remembers; `XDG_STATE_HOME` is honoured."""
    return _user_directory("state", os.environ if environ is None else environ)


def _user_directory(kind: Literal["config", "state"], environ: Mapping[str, str]) -> Path:
    # https://specifications.freedesktop.org/basedir-spec: a relative path is to be ignored.
    home = Path(environ.get(f"XDG_{kind.upper()}_HOME", "").strip())
    if home.is_absolute():
        return home / "victor"
    import platformdirs

    if kind == "config":
        return platformdirs.user_config_path("victor", appauthor=False)
    return platformdirs.user_state_path("victor", appauthor=False)


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file and the environment.

    The file wins over `VICTOR_MODE` and `VICTOR_MAX_TURNS`; `VICTOR_BASE_URL` is the address of
    the provider `openai-compatible` and of no other, so that no vendor's key goes elsewhere.

    Args:
        path: the file; it has to exist. None means `config_path(environ)`, which may be missing
            unless `VICTOR_CONFIG` named it.
        environ: instead of `os.environ`.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or says something victor cannot use;
            also for a bad variable. The message names the place and what is expected there.
    """
    environ = os.environ if environ is None else environ
    file = config_path(environ) if path is None else path
    required = path is not None or bool(environ.get("VICTOR_CONFIG", "").strip())
    content = read_toml(file, required=required)
    found = {} if content is None else dict(_checked_file(content, file))
    try:
        _add_environment(found, environ)
    except WrongSettingError as error:
        raise ConfigError(f"environment variable {error}") from None
    return Settings(**found, path=None if content is None else file)


@lru_cache(maxsize=1)
def _checked_file(content: str, file: Path) -> Mapping[str, Any]:
    # A command needs the settings here and there, and checking them is most of the work.
    try:
        return checked(parsed_toml(content, file), _TOP, "")
    except WrongSettingError as error:
        raise ConfigError(f"{file}: {error}") from None


def _provider(name: str, value: Any) -> ProviderSettings:
    return ProviderSettings(**checked(table(name, value), _PROVIDER, name))


def _model(name: str, value: Any) -> ModelData:
    found = table(name, value)
    if any(isinstance(item, dict) for item in found.values()):
        raise WrongSettingError(
            f'{name}: a pattern with a dot needs quotes, as in [models."a-1.5"]'
        )
    return ModelData(**checked(found, _MODEL, name))


def _variables(name: str, value: Any) -> tuple[str, ...]:
    found = words(name, value)
    if not all(_VARIABLE.fullmatch(item) for item in found):
        # Not repeated: somebody may have written the value as well.
        raise WrongSettingError(
            f'{name}: expected names of environment variables, as in ["CI", "GOPATH"]: '
            "no patterns and no values"
        )
    return found


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_TOKENS_NAME = one_of("max_tokens", "max_completion_tokens")

_MODEL: Mapping[str, Check] = MappingProxyType(
    {
        "context_window": integer(1),
        "max_output_tokens": integer(1),
        "tool_mode": one_of("native", "constrained", "none"),
        "tool_format": text,
        "parallel_tools": flag,
        "patches": flag,
        "vision": flag,
        "documents": flag,
        "json_schema": flag,
        "reasoning": flag,
        "sampling": flag,
        "max_tokens_name": _MAX_TOKENS_NAME,
        "system_role": one_of("system", "developer", "user"),
        "efforts": words,
        "thinking": one_of("adaptive", "budget", "level"),
        "echo_reasoning": flag,
        "think_tags": flag,
        "starts_in_reasoning": flag,
        "input_price": price,
        "output_price": price,
        "cached_price": price,
        "cache_write_price": price,
        "priced_on": day,
    }
)

_PROVIDER: Mapping[str, Check] = MappingProxyType(
    {
        "base_url": url,
        "wire": one_of(*get_args(WireName)),
        "auth": one_of(*get_args(AuthName)),
        "default_model": text,
        "embedding_model": text,
        "key_variables": texts,
        "needs_key": flag,
        "azure": flag,
        "tool_mode": one_of("native", "constrained"),
        "stream_options": flag,
        "max_tokens_name": _MAX_TOKENS_NAME,
        "strict_fields": flag,
        "effort": one_of(*get_args(EffortName)),
        "reasoning_name": one_of("reasoning_content", "reasoning"),
        "mistral": flag,
        "alternating": flag,
        "lacks": words,
        "models": by_pattern(_model),
        "timeout": seconds,
        "max_retries": integer(0),
        "requests_per_minute": integer(1),
        "tokens_per_minute": integer(1),
    }
)

_TOP: Mapping[str, Check] = MappingProxyType(
    {
        "provider": text,
        "model": text,
        "mode": one_of(*get_args(Mode)),
        "max_turns": integer(1),
        "sandbox": one_of(*get_args(SandboxMode)),
        "sandbox_network": flag,
        "sandbox_variables": _variables,
        "permissions": rule_texts,
        "fallback": fallbacks,
        "failover": one_of(*get_args(Failover)),
        "quality_floor": integer(0),
        "key_command": by_provider(texts),
        "providers": by_provider(_provider),
        "models": by_pattern(_model),
        "mcp": mcp_servers,
    }
)


def _add_environment(found: dict[str, Any], environ: Mapping[str, str]) -> None:
    def variable(name: str) -> str:
        return environ.get(name, "").strip()

    if "mode" not in found and (mode := variable("VICTOR_MODE")):
        found["mode"] = _TOP["mode"]("VICTOR_MODE", mode)
    if "max_turns" not in found and (turns := variable("VICTOR_MAX_TURNS")):
        number = int(turns) if turns.isascii() and turns.isdigit() and len(turns) < 10 else turns
        found["max_turns"] = _TOP["max_turns"]("VICTOR_MAX_TURNS", number)
    if address := variable("VICTOR_BASE_URL"):
        base_url = url("VICTOR_BASE_URL", address)
        providers: Mapping[str, ProviderSettings] = found.get("providers", {})
        own = providers.get("openai-compatible", ProviderSettings())
        if own.base_url is None:
            changed = {**providers, "openai-compatible": replace(own, base_url=base_url)}
            found["providers"] = MappingProxyType(changed)
