"""Patterns for the names of models, for families with many derived models that have other templates."""

_WORD = (
    r"(?:\d+(?:\.\d+)?[bm]|\d+x\d+b|\d+e|\d+k|8192|instruct|chat|hf|it|text|vision|preview|latest|turbo|versatile|instant"
    r"|lite|scout|maverick|original|v1:0|i?q\d(?:_(?:\d|k|[sml]|xs|xxs|xl|nl))*|i1|gguf|ggml|awq|gptq|exl2|bnb|qat|unsloth|ud"
    r"|dynamic|quantized|quantised|w\d+a\d+|\d-?bit|int[48]|fp8|fp16|bf16|f16|f32|nf4|nvfp4|mxfp4|mlx|imatrix|kv|onnx|g128"
    r"|spinquant|qlora|eo8|autoround|torchao)"
)
"""What follows the name of a model that is no other model: its size, its use, how it is quantised."""


LLAMA_3 = r"(?:(?:us|eu|apac)\.)?(?:meta[-_.])?llama[-_]?v?3"
"""The name of Llama 3 and, with a version behind it, of Llama 3.1 to 3.3."""


def exactly(name: str) -> str:
    """Returns a pattern for models of this name: an organisation or a folder may precede it, and only a size and the
    like follow it. name: a regular expression; the names are in lower case."""
    return rf"(?:^|[/\\]|--)(?:{name})(?:[-_.: ]{_WORD})*(?:[/\\]snapshots[/\\].*|[/\\])?$"
