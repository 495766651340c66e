"""Models whose weights are open: Llama, Qwen, DeepSeek, Kimi, GLM, MiniMax, Nemotron, Phi and more.

From the models' cards and templates on https://huggingface.co and from their makers' API
documentation, as of November 2026. Windows are what the weights are made for; a server may give
less and says so itself. What a family does where nobody parses its text (`tool_format`,
`think_tags`) is said here; the servers of the big vendors do parse it. Knows no prices.
"""

from __future__ import annotations

from victor.config.model_capabilities import ModelData, ModelRow

__all__ = ["ROWS"]

_TEXT = ModelData(vision=False, documents=False)
_SEES = ModelData(vision=True)
_ANSWERS = ModelData(reasoning=False, efforts=())
_THINKS = ModelData(reasoning=True, think_tags=True)
_ONLY_THINKS = ModelData(reasoning=True, think_tags=True, starts_in_reasoning=True)
_GRADES = ("low", "high", "max")


def _family(data: ModelData, *patterns: str, providers: tuple[str, ...] = ()) -> list[ModelRow]:
    return [ModelRow(pattern, data, providers) for pattern in patterns]


def _window(tokens: int, *patterns: str) -> list[ModelRow]:
    return _family(ModelData(context_window=tokens), *patterns)


def _format(name: str, *patterns: str) -> list[ModelRow]:
    return _family(ModelData(tool_format=name), *patterns)


_LLAMA = (
    *_family(_TEXT.over(_ANSWERS), "llama-*", "codellama*"),
    *_format("llama3_json", "llama-3*"),
    *_format("pythonic", "llama-4*"),
    *_window(4_096, "llama-2*"),
    *_window(8_192, "llama-3-*"),
    *_window(131_072, "llama-3.1*", "llama-3.2*", "llama-3.3*"),
    *_window(1_048_576, "llama-4-maverick*"),
    *_family(_SEES, "llama-3.2-11b*", "llama-3.2-90b*", "llama-3.2-vision*", "llama-4*"),
    *_family(ModelData(tool_mode="none"), "llama-2*", "codellama*", "llama-guard*"),
)

_QWEN = (
    *_format("hermes", "qwen2.5*", "qwen3*", "qwq*", "qwen-max*", "qwen-plus*", "qwen-turbo*"),
    *_family(_TEXT, "qwen2.5*", "qwen3*", "qwq*"),
    *_window(32_768, "qwen2.5*", "qwen-max*"),
    *_family(_ANSWERS, "qwen2.5*"),
    *_window(131_072, "qwq*", "qwen-plus*", "qwen-turbo*"),
    *_family(_SEES, "qwen2.5-vl*", "qwen2.5vl*", "qwen2.5-omni*"),
    # They think unless told not to, by a switch and not by a grade.
    *_family(_THINKS, "qwen3*"),
    *_family(ModelData(efforts=()), "qwen3*", "qwq*"),
    *_family(ModelData(efforts=("none", "default")), "qwen3*", providers=("groq",)),
    *_family(_ONLY_THINKS, "qwq*", "qwen3-*thinking*"),
    *_window(40_960, "qwen3*"),
    *_window(262_144, "qwen3-*2507*", "qwen3-coder*", "qwen3-next*", "qwen3-vl*", "qwen3-max*"),
    *_family(_ANSWERS, "qwen3-*instruct*", "qwen3-coder*"),
    *_format("qwen3_coder", "qwen3-coder*", "qwen3.*"),
    *_family(_SEES, "qwen3-vl*", "qwen3-omni*", "qwen3.*"),
    *_window(262_144, "qwen3.*"),
    *(
        ModelRow(f"qwen{kind}", ModelData(context_window=1_000_000, max_output_tokens=65_536))
        for kind in ("3.5-plus*", "3.6-plus*", "3.7-plus*", "3.7-max*", "3-coder-plus*")
    ),
    *(
        ModelRow(f"qwen3.8-{kind}*", ModelData(context_window=1_000_000, max_output_tokens=131_072))
        for kind in ("max", "flash", "omni-flash")
    ),
    *_family(ModelData(vision=False), "qwen3.7-max*", "qwen3.6-max*"),
    *_family(ModelData(max_output_tokens=65_536), "qwen3-max*"),
)

_DEEPSEEK = (
    *_family(_TEXT, "deepseek-*"),
    *_window(131_072, "deepseek-*"),
    *_format("deepseek_v3", "deepseek-v3*", "deepseek-r1*"),
    *_format("deepseek_v31", "deepseek-v3.1*"),
    *_format("deepseek_v32", "deepseek-v3.2*"),
    *_family(_ANSWERS, "deepseek-v3", "deepseek-v3-*", "deepseek-chat*"),
    *_family(_ONLY_THINKS, "deepseek-r1*"),
    *_family(ModelData(efforts=()), "deepseek-r1*", "deepseek-reasoner*"),
    *_family(ModelData(reasoning=True), "deepseek-reasoner*"),
    *(
        ModelRow(
            pattern,
            ModelData(
                context_window=1_000_000,
                max_output_tokens=393_216,
                tool_format="deepseek_v4",
                reasoning=True,
                efforts=_GRADES,
                echo_reasoning=True,
            ),
        )
        for pattern in ("deepseek-v4*", "deepseek-flash*")
    ),
    *_family(_SEES, "deepseek-v4-flash*", "deepseek-v4.1-flash*", "deepseek-flash*"),
    # https://api-docs.deepseek.com/guides/json_mode: an object, but no schema.
    *_family(ModelData(json_schema=False), "*", providers=("deepseek",)),
)

_KIMI = (
    *_family(_TEXT, "kimi-*", "moonshot-*"),
    *_format("kimi_k2", "kimi-k2*"),
    *_format("kimi_k3", "kimi-k3*"),
    *_window(262_144, "kimi-k2*"),
    *_window(131_072, "kimi-k2", "kimi-k2-instruct", "kimi-k2-0711*"),
    *_window(1_048_576, "kimi-k3*"),
    *_family(_ANSWERS, "kimi-k2", "kimi-k2-*", "moonshot-*"),
    *(
        ModelRow(pattern, ModelData(reasoning=True, efforts=(), echo_reasoning=True))
        for pattern in ("kimi-k2-thinking*", "kimi-k2.*", "kimi-k3*")
    ),
    *_family(ModelData(efforts=_GRADES), "kimi-k3*"),
    *_family(_SEES, "kimi-k2.*", "kimi-k3*", "moonshot-v1-*vision*"),
    # Its own API fixes the temperature of models that think.
    *_family(ModelData(sampling=False), "kimi-k2.*", "kimi-k3*", providers=("moonshot",)),
    *_window(8_192, "moonshot-v1-8k*"),
    *_window(32_768, "moonshot-v1-32k*"),
    *_window(131_072, "moonshot-v1-128k*", "moonshot-v1-auto*"),
)

_GLM = (
    *_family(_TEXT, "glm-*"),
    *_window(131_072, "glm-4*"),
    *_family(_ANSWERS, "glm-4-*"),
    *_format("glm45", "glm-4.5*", "glm-4.6*", "glm-4.7*", "glm-5*"),
    *(
        ModelRow(pattern, ModelData(reasoning=True, efforts=(), think_tags=True))
        for pattern in ("glm-4.5*", "glm-4.6*", "glm-4.7*", "glm-5*")
    ),
    *_family(ModelData(max_output_tokens=98_304), "glm-4.5*"),
    *_family(
        ModelData(context_window=200_000, max_output_tokens=128_000),
        "glm-4.6*",
        "glm-4.7*",
        "glm-5*",
    ),
    *_family(ModelData(context_window=65_536, max_output_tokens=16_384).over(_SEES), "glm-4.5v*"),
    *_family(ModelData(context_window=128_000, max_output_tokens=32_768).over(_SEES), "glm-4.6v*"),
    *_window(1_000_000, "glm-5.2*", "glm-5.3*"),
    *_family(ModelData(efforts=_GRADES), "glm-5.3*"),
    *_family(ModelData(echo_reasoning=True), "glm-4.7*", "glm-5*"),
    *_family(_SEES, "glm-5v*", "glm-5.3-flash*"),
)

_MINIMAX = (
    *_family(_TEXT.over(_ONLY_THINKS), "minimax-m*"),
    *_family(ModelData(efforts=()), "minimax-m*"),
    *_format("minimax_m2", "minimax-m2*"),
    *_format("minimax_m3", "minimax-m3*"),
    *_window(1_000_000, "minimax-m1*"),
    *_window(196_608, "minimax-m2*"),
    *_window(524_288, "minimax-m3*"),
    *_window(1_048_576, "minimax-m3.1*"),
    *_family(ModelData(echo_reasoning=True), "minimax-m2*", "minimax-m3*"),
    *_family(_SEES, "minimax-m3*"),
)

_OTHERS = (
    *_family(_THINKS, "nemotron-*", "*nemotron*"),
    *_window(131_072, "nemotron-nano-*", "llama-*nemotron*"),
    *_window(262_144, "nemotron-3*", "nemotron-nano-3*"),
    *_format("nemotron_nano_v2", "nemotron-nano-9b*", "nemotron-nano-12b*"),
    *_format("qwen3_coder", "nemotron-3*", "nemotron-nano-3*"),
    *_family(_TEXT.over(_ANSWERS), "phi-3*", "phi-4*"),
    *_window(131_072, "phi-3.5*", "phi-4-mini*", "phi-4-multimodal*"),
    *_window(16_384, "phi-4"),
    *_format("phi4", "phi-4-mini*"),
    *_family(_THINKS, "phi-4-reasoning*", "phi-4-mini-reasoning*", "phi-4-mini-flash*"),
    *_window(32_768, "phi-4-reasoning*"),
    *_family(_SEES, "phi-3.5-vision*", "phi-4-multimodal*"),
    *_family(ModelData(vision=False, tool_format="granite"), "granite-3*"),
    *_family(ModelData(vision=False, tool_format="granite4"), "granite-4*"),
    *_format("granite_20b_fc", "granite-20b-functioncalling*"),
    *_window(131_072, "granite-3.*", "granite-4*"),
    *_format("hermes", "hermes-*", "nous-hermes*", "mimo*", "reka*", "smollm3*"),
    *_family(_THINKS, "mimo*", "reka-flash-3*", "smollm3*", "exaone-deep*"),
    *_family(ModelData(tool_format="seed_oss", reasoning=True), "seed-oss*"),
    *_window(524_288, "seed-oss*"),
    *_format("hunyuan", "hunyuan-a13b*"),
    *_format("hunyuan_v3", "hy3*", "hunyuan-v3*"),
    *_format("jamba", "jamba*", "ai21-jamba*"),
    *_format("ernie45", "ernie-4.5*"),
    *_format("gigachat3", "gigachat3*"),
    *_format("apertus", "apertus*"),
    *_format("apriel", "apriel*"),
    *_format("olmo3", "olmo-3*"),
    *_format("lfm2", "lfm2*"),
    *_format("longcat", "longcat*"),
    *_format("step3", "step3*", "step-3*"),
    *_format("step3p5", "step3.5*", "step-3.5*"),
    *_format("internlm2", "internlm2*"),
    *_format("firefunction", "firefunction*"),
    *_format("functionary_v31", "functionary-*3.1*"),
    *_format("functionary_v32", "functionary-*3.2*"),
    *_format("xlam", "xlam*"),
    *_format("dots", "dots*"),
    *_format("minicpm5", "minicpm5*"),
    *_format("ling3", "ling-3*"),
    *_format("poolside", "laguna*"),
    *_format("muse", "muse-*"),
    *_format("plamo3", "plamo-3*"),
)

ROWS: tuple[ModelRow, ...] = (
    *_LLAMA,
    *_QWEN,
    *_DEEPSEEK,
    *_KIMI,
    *_GLM,
    *_MINIMAX,
    *_OTHERS,
    # The weights of the one distilled into the shape of the other: only the thinking is DeepSeek's.
    *_family(_ONLY_THINKS, "deepseek-r1-distill*"),
)
