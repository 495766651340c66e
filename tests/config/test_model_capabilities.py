from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config import model_capabilities
from victor.config.catalog import VENDORS
from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData, ModelRow, model_data

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def row_id(row: ModelRow) -> str:
    return row.pattern


ROWS = model_capabilities._rows()


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-5-mini", {"context_window": 400_000, "sampling": False}),
        ("openai", "gpt-5.4-mini-2026-03-17", {"context_window": 400_000, "input_price": 0.75}),
        ("openai", "gpt-5.4", {"context_window": 1_050_000, "efforts": EFFORTS[:1] + EFFORTS[2:6]}),
        ("openai", "gpt-6-luna", {"efforts": ("none", *EFFORTS[2:]), "cached_price": 0.01}),
        ("openai-chat", "gpt-6-luna", {"efforts": ("none", *EFFORTS[2:6])}),
        ("openai", "gpt-6.1-sol", {"efforts": EFFORTS[2:]}),
        ("openai", "gpt-7-anything", {"sampling": False, "context_window": None}),
        ("openai", "gpt-4.1-mini", {"sampling": True, "vision": True, "reasoning": False}),
        ("openai", "gpt-4-0613", {"context_window": 8_192, "vision": False}),
        ("openai", "gpt-4o-2024-05-13", {"max_output_tokens": 4_096, "input_price": 5.0}),
        ("openai", "o1-mini", {"system_role": "user", "tool_mode": "none"}),
        ("openai", "o3", {"efforts": ("low", "medium", "high"), "parallel_tools": False}),
        ("openrouter", "openai/gpt-5.2", {"context_window": 400_000, "input_price": None}),
        ("groq", "openai/gpt-oss-120b", {"tool_format": "harmony", "input_price": 0.15}),
        ("anthropic", "claude-sonnet-5-5", {"thinking": "adaptive", "sampling": False}),
        ("anthropic", "claude-opus-4-1-20250805", {"max_output_tokens": 32_000}),
        ("anthropic", "claude-opus-4-20250514", {"json_schema": False, "thinking": "budget"}),
        ("anthropic", "claude-sonnet-4-5", {"max_output_tokens": 64_000, "json_schema": True}),
        ("anthropic", "claude-opus-5", {"efforts": ("none", *EFFORTS[2:])}),
        ("anthropic", "claude-opus-5-5", {"efforts": EFFORTS[2:]}),
        ("anthropic", "claude-newer-9", {"sampling": False, "thinking": "adaptive"}),
        ("anthropic", "claude-3-5-haiku-latest", {"reasoning": False, "efforts": ()}),
        (
            "bedrock",
            "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            {"thinking": "budget", "context_window": 200_000, "input_price": None},
        ),
        ("vertex", "claude-sonnet-4@20250514", {"max_output_tokens": 64_000}),
        ("google", "models/gemini-2.5-flash", {"thinking": "budget", "input_price": 0.3}),
        ("google", "gemini-3.8-flash", {"thinking": "level", "efforts": ("low", "medium", "high")}),
        ("google", "gemini-2.0-flash-001", {"reasoning": False, "max_output_tokens": 8_192}),
        ("google", "gemma-3-27b-it", {"vision": True, "system_role": "user"}),
        ("mistral", "mistral-large-2411", {"context_window": 131_072, "vision": False}),
        ("mistral", "mistral-large-latest", {"context_window": 262_144, "input_price": 0.5}),
        ("mistral", "mistral-large-4-0", {"context_window": 1_048_576}),
        ("cohere", "command-r-plus-08-2024", {"max_output_tokens": 4_000, "vision": False}),
        ("xai", "grok-4-1-fast-reasoning", {"context_window": 2_000_000}),
        ("xai", "grok-4.20-0309-non-reasoning", {"reasoning": False}),
        ("xai", "grok-4.7", {"efforts": ("low", "medium", "high", "xhigh")}),
        ("perplexity", "sonar-reasoning-pro", {"tool_mode": "none", "think_tags": True}),
        ("bedrock", "us.amazon.nova-2-lite-v1:0", {"reasoning": True, "vision": True}),
        ("ollama", "llama3.2-vision:11b", {"vision": True, "tool_format": "llama3_json"}),
        ("ollama", "qwen3:8b", {"reasoning": True, "think_tags": True, "efforts": ()}),
        ("groq", "qwen/qwen3-32b", {"efforts": ("none", "default")}),
        ("vllm", "Qwen/Qwen3-30B-A3B-Thinking-2507", {"starts_in_reasoning": True}),
        ("vllm", "Qwen/Qwen3-30B-A3B-Instruct-2507", {"reasoning": False}),
        ("vllm", "Qwen/Qwen3-Coder-30B-A3B-Instruct", {"tool_format": "qwen3_coder"}),
        ("ollama", "deepseek-r1:8b", {"starts_in_reasoning": True}),
        ("together", "deepseek-ai/DeepSeek-V3.1", {"tool_format": "deepseek_v31"}),
        ("deepseek", "deepseek-v4-flash", {"echo_reasoning": True, "json_schema": False}),
        ("openrouter", "deepseek/deepseek-v4-pro", {"echo_reasoning": True, "json_schema": None}),
        ("moonshot", "kimi-k3", {"sampling": False, "efforts": ("low", "high", "max")}),
        ("together", "moonshotai/Kimi-K2.6", {"sampling": None, "vision": True}),
        ("moonshot", "kimi-k2-0711-preview", {"context_window": 131_072, "reasoning": False}),
        ("cerebras", "zai-glm-4.7", {"tool_format": "glm45", "echo_reasoning": True}),
        ("zai", "glm-4.6v", {"vision": True, "context_window": 128_000}),
        ("vllm", "MiniMaxAI/MiniMax-M2.1", {"tool_format": "minimax_m2"}),
        ("vllm", "nvidia/NVIDIA-Nemotron-Nano-9B-v2", {"tool_format": "nemotron_nano_v2"}),
        ("azure", "phi-4-mini-instruct", {"tool_format": "phi4", "context_window": 131_072}),
        ("google", "gemini-embedding-001", {"context_window": 2_048, "input_price": 0.15}),
    ],
)
def test_a_known_model(provider: str, model: str, expected: dict[str, Any]) -> None:
    found = model_data(provider, model)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("model", ["my-own-model", "", "/", "*", "gpt", "deployment-1"])
def test_an_unknown_model_is_unknown(model: str) -> None:
    assert model_data("openai-compatible", model) is UNKNOWN_MODEL


@pytest.mark.parametrize(
    "row", [one for one in VENDORS.values() if one.default_model], ids=lambda row: row.name
)
def test_the_default_of_a_vendor_is_known(row: Any) -> None:
    if row.name != "openrouter":  # it chooses one itself
        assert model_data(row.name, row.default_model).context_window


def test_every_row_says_something_in_terms_that_exist() -> None:
    hints = get_type_hints(ModelData)
    choices = {
        name: {value for part in get_args(kind) for value in get_args(part)}
        for name, kind in hints.items()
        if name in ("tool_mode", "thinking", "system_role", "max_tokens_name")
    }
    wrong = [
        row
        for row in ROWS
        if row.data == UNKNOWN_MODEL
        or any(getattr(row.data, name) not in {None, *some} for name, some in choices.items())
        or not set(row.providers) <= set(VENDORS)
        or not set(row.data.efforts or ()) <= {*EFFORTS, "default"}
        or list(row.data.efforts or ()) != sorted(row.data.efforts or (), key=_rank)
    ]
    assert wrong == []


def _rank(effort: str) -> int:
    return EFFORTS.index("medium" if effort == "default" else effort)


def test_every_number_of_a_row_is_of_a_possible_size() -> None:
    for row in ROWS:
        data = row.data
        for tokens in (data.context_window, data.max_output_tokens):
            assert tokens is None or 512 <= tokens <= 10_000_000, row
        if data.input_price is not None:
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", data.priced_on or ""), row
            assert 0 <= (data.cached_price or 0) <= data.input_price, row
            assert data.output_price is None or data.output_price >= data.input_price, row


def test_no_row_is_there_twice() -> None:
    seen = [(row.pattern, row.providers, row.data) for row in ROWS]
    assert len(seen) == len(set(seen))


PRICED = [row for row in ROWS if row.data.input_price is not None]


@pytest.mark.parametrize("row", PRICED, ids=row_id)
def test_a_price_is_found_by_the_name_of_its_model(row: ModelRow) -> None:
    for provider in row.providers:
        found = model_data(provider, row.pattern.removesuffix("*"))
        assert (found.input_price, found.output_price, found.priced_on) == (
            row.data.input_price,
            row.data.output_price,
            row.data.priced_on,
        )


# ---------------------------------------------------------------------------- merging


def test_what_is_known_lies_over_what_was_known_before() -> None:
    below = ModelData(context_window=1, vision=True, efforts=("low",))
    above = ModelData(context_window=2, vision=False, efforts=())
    assert above.over(below) == ModelData(context_window=2, vision=False, efforts=())
    assert UNKNOWN_MODEL.over(below) is below


facts = st.builds(
    ModelData,
    context_window=st.none() | st.integers(1, 9),
    vision=st.none() | st.booleans(),
    efforts=st.none() | st.just(()) | st.just(("low",)),
)


@settings(max_examples=100, deadline=None)
@given(facts, facts, facts)
def test_it_does_not_matter_in_which_order_layers_are_put_together(
    one: ModelData, two: ModelData, three: ModelData
) -> None:
    assert one.over(two).over(three) == one.over(two.over(three))
    for item in fields(ModelData):
        upper = getattr(one, item.name)
        assert getattr(one.over(two), item.name) == (
            getattr(two, item.name) if upper is None else upper
        )


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*VENDORS, "x"]), st.text(max_size=30))
def test_any_name_can_be_asked_for(provider: str, model: str) -> None:
    assert isinstance(model_data(provider, model), ModelData)


# ---------------------------------------------------------------------------- packages


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder on the path in which a package can be installed."""
    monkeypatch.syspath_prepend(tmp_path)

    def forget() -> None:
        model_capabilities._rows.cache_clear()
        model_capabilities._known.cache_clear()

    forget()
    yield tmp_path
    forget()


def install(folder: Path, entries: str, code: str) -> None:
    # Names of their own: a module that was imported stays imported.
    metadata = folder / "lab_models-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-models\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[victor.models]\n{textwrap.dedent(entries)}")
    (folder / f"{folder.name.replace('-', '_')}_lab.py").write_text(
        "from victor.config.model_capabilities import ModelData, ModelRow\n" + textwrap.dedent(code)
    )


@pytest.mark.parametrize("name", ["ROWS", "rows"], ids=["rows", "a function"])
def test_an_installed_package_brings_models(package: Path, name: str) -> None:
    module = f"{package.name.replace('-', '_')}_lab"
    install(
        package,
        f"lab = {module}:{name}\n",
        """
        ROWS = [
            ModelRow("lab-1*", ModelData(context_window=77), ("lab",)),
            ModelRow("gpt-5.4", ModelData(context_window=78)),
        ]
        def rows():
            yield from ROWS
        """,
    )
    assert model_data("lab", "lab-1-large") == ModelData(context_window=77)
    assert model_data("other", "lab-1-large") == UNKNOWN_MODEL
    found = model_data("openai", "gpt-5.4")
    assert (found.context_window, found.max_output_tokens) == (78, 128_000)
    own = [ModelRow("gpt-5.4", ModelData(context_window=79))]
    assert model_data("openai", "gpt-5.4", own).context_window == 79


def test_a_package_that_is_broken_is_told_and_left_out(
    package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = f"{package.name.replace('-', '_')}_lab"
    install(
        package,
        f"""
        absent = {module}:NOWHERE
        fine = {module}:ROWS
        raises = {module}:rows
        wrong = {module}:WRONG
        """,
        """
        ROWS = (ModelRow("lab-2", ModelData(vision=True)),)
        WRONG = [{"pattern": "x"}]
        def rows():
            raise RuntimeError("no models today")
        """,
    )
    assert model_data("lab", "lab-2") == ModelData(vision=True)
    assert len(caplog.messages) == 3
    absent, raises, wrong = caplog.messages
    assert "'absent'" in absent
    assert "AttributeError" in absent
    assert raises == (
        f"the models of the package entry 'raises' ({module}:rows) are left out: "
        "RuntimeError: no models today"
    )
    assert "it has to give rows of victor.config.model_capabilities.ModelRow" in wrong
    model_data("lab", "lab-3")
    assert len(caplog.messages) == 3
