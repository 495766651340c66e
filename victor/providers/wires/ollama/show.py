"""What Ollama says about its models: `/api/show` and `/api/ps`, read into `ModelData`.

Spec: https://github.com/ollama/ollama/blob/main/docs/api.md#show-model-information
Bodies that say nothing, or are not the API's, give what is known of an unknown model: discovery
never stands in the way of a request. Pure; knows nothing about HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.providers.reading import count, mapping, word

__all__ = ["MOST_CONTEXT", "context_to_ask_for", "read_ps", "read_show"]

MOST_CONTEXT = 32_768
"""Tokens of context victor asks for by itself.

Ollama reserves memory for the whole context when it loads a model: an 8B model takes 4 GB for this
many, and 16 GB for the 131,072 it was trained on. Its own default on small machines is 4,096, and
what does not fit there is silently forgotten. The option `num_ctx` asks for more or less.
"""

_NUM_CTX = re.compile(r'^num_ctx\s+"?([0-9]{1,9})"?\s*$', re.MULTILINE)


def context_to_ask_for(model: str, window: int | None) -> int | None:
    """Return the context to load a model with, in tokens; None leaves it to the server.

    Args:
        model: its name; models of Ollama's cloud always have their whole window.
        window: what the model can hold, where known.
    """
    if window is None or model.endswith(("-cloud", ":cloud")):
        return None
    return min(window, MOST_CONTEXT)


def read_show(body: bytes) -> ModelData:
    """Read an answer of `/api/show`.

    `context_window` is what a conversation can really use: the model's own, the `num_ctx` of its
    Modelfile and `MOST_CONTEXT`, whichever is least.
    """
    value = _parsed(body)
    facts = mapping(value.get("model_info"))
    window = _positive(facts.get(f"{word(facts.get('general.architecture'))}.context_length"))
    if window is None:
        found = (facts[name] for name in facts if name.endswith(".context_length"))
        window = next((size for one in found if (size := _positive(one))), None)
    can = value.get("capabilities")
    known = _abilities(can) if isinstance(can, list) and can else UNKNOWN_MODEL
    return ModelData(context_window=_usable(value, window)).over(known)


def read_ps(body: bytes) -> dict[str, ModelData]:
    """Read an answer of `/api/ps`: with how much context each loaded model was loaded."""
    models = _parsed(body).get("models")
    found: dict[str, ModelData] = {}
    for row in models if isinstance(models, list) else []:
        name = word(mapping(row).get("model")) or word(mapping(row).get("name"))
        window = _positive(mapping(row).get("context_length"))
        if name and window is not None:
            found[name] = ModelData(context_window=window)
    return found


def _usable(value: Mapping[str, Any], window: int | None) -> int | None:
    if word(value.get("remote_host")):
        return window  # of the cloud, where no memory is ours
    set_by_user = _NUM_CTX.search(word(value.get("parameters")))
    sizes = [window, _positive(int(set_by_user[1])) if set_by_user else None]
    given = [size for size in sizes if size is not None]
    return min(*given, MOST_CONTEXT) if given else None


def _abilities(can: list[Any]) -> ModelData:
    return ModelData(
        tool_mode="native" if "tools" in can else "constrained" if "completion" in can else "none",
        vision="vision" in can,
        reasoning="thinking" in can,
    )


def _positive(value: Any) -> int | None:
    number = count(value)
    return number if number is not None and number > 0 else None


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        return mapping(from_json(body))
    except ValueError:
        return {}
