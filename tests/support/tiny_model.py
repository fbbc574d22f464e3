"""A GGUF file of 2 MB with hand-made weights, with which a real llama.cpp server behaves like a tool-calling model.

    python -m tests.support.tiny_model tiny.gguf [--results N] [--thinking] [--context TOKENS]

How it works. One transformer block with a residual stream as wide as the vocabulary: dimension i is "token i was the
last". The output matrix maps that to a list of tokens to generate next, best first (NEXT below); llama.cpp's grammars
for tool calls and JSON schemas exclude what does not fit, so that the first allowed one is generated. Two attention
heads add what the last token alone does not show: one detects whether the marker <|answer|> is anywhere in the prompt,
where the chat template puts it when text is due and no call; the other whether the token before the last was
<tool_call>.

The result: tools and a question -> a call of an allowed tool with short valid arguments; after N tool results, or
without tools -> "Done."; a JSON schema -> the smallest object that fits it. The server's HTTP, streams, template,
parser, cache and errors are llama.cpp's own.
"""

import argparse
import string
from pathlib import Path

import gguf
import numpy as np

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKS = ("<tool_call>", "</tool_call>", "<|answer|>", "<think>", "</think>")
SPECIAL = CONTROL + MARKS
END = "<|im_end|>"

VALUE = [" ", "7", '"', "[", "{", "t"]
AFTER_VALUE = ["]", "}", ",", '"']
NEXT = {letter: ['"'] for letter in string.ascii_letters} | {
    **dict.fromkeys(string.digits, AFTER_VALUE),
    "\n": ["<tool_call>", "D", "{", "[", "</tool_call>"],
    "<tool_call>": ["\n"],
    "</tool_call>": [END],
    "<|answer|>": ["D", "{", "["],
    "<think>": ["H"],
    "H": ["m"],
    "m": ["</think>"],
    "</think>": ["<tool_call>", "\n"],
    "D": ["o"],
    "o": ["n"],
    "n": ["e"],
    "e": [".", "}", "]", ","],
    ".": [END, "<tool_call>"],
    "l": ["}", "]", ","],
    "{": ['"', "}"],
    "[": ['"', "7", "{", "]"],
    '"': ["v", "]", "}", ":", ","],
    "v": ['"'],
    ":": VALUE,
    ",": [" ", '"'],
    " ": VALUE[1:],
    "]": ["}", "]", ",", END],
    "}": ["}", "]", "\n", END],
}
"""Last token -> tokens to generate next, best first."""

BEST, STEP, NEVER = 8.0, 0.5, -20.0
WORDS_DUE = {"D": 2.5, "\n": 2.5}
JUST_CALLED = {"D": 3.0}
HEADS = 8
ROTARY_BASE = 1e9

TEMPLATE = """\
{%- if messages and messages[0].role == 'system' %}{% set about = messages[0].content %}{% else %}{% set about = '' %}{% endif %}
{%- if tools %}
{{- '<|im_start|>system\\n' + about + '\\n\\n# Tools\\n\\nCall a function by writing a JSON object between tags:\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{% endfor %}
{{- '\\n</tools>\\n<tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call><|im_end|>\\n' }}
{%- elif about %}
{{- '<|im_start|>system\\n' + about + '<|im_end|>\\n' }}
{%- endif %}
{%- set seen = namespace(results=0) %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
{%- if message.role == 'user' %}{% set seen.results = 0 %}{% endif %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}
THOUGHTS
{%- if message.content %}{{- message.content }}{% endif %}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
{%- if message.content or not loop.first %}{{- '\\n' }}{% endif %}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{%- if call.function.arguments is string %}{{- call.function.arguments }}{% else %}{{- call.function.arguments | tojson }}{% endif %}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{%- endif %}
{{- '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}
{%- set seen.results = seen.results + 1 %}
{{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if not tools or seen.results >= (results | default(RESULTS)) %}{{- '<|answer|>' }}{% endif %}
OPENING
{%- endif %}
"""
THOUGHTS = "{%- if message.reasoning_content %}{{- '<think>' + message.reasoning_content + '</think>\\n' }}{% endif %}"
OPENING = (
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think></think>\\n' }}"
    "{% else %}{{- '<think>' }}{% endif %}"
)


def write_tiny_model(
    path: str | Path, *, results: int = 1, thinking: bool = False, context: int = 8192, template: str | None = None
) -> Path:
    """Write the model.

    results: tool results after which it answers in words (a request may say otherwise by
    `chat_template_kwargs: {"results": N}`). thinking: it thinks before each reply. context: tokens.
    template: a chat template instead of ours.
    """
    if template is None:
        template = TEMPLATE.replace("RESULTS", str(results))
        template = template.replace("THOUGHTS\n", f"{THOUGHTS}\n" if thinking else "")
        template = template.replace("OPENING\n", f"{OPENING}\n" if thinking else "")
    vocabulary = Vocabulary()
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, vocabulary, context, template)
    for name, values in _weights(vocabulary).items():
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Path(path)


class Vocabulary:
    """A token for each byte, then the special ones, and one merge, since a BPE without merges is rejected."""

    def __init__(self) -> None:
        self.bytes = _byte_names()
        self.tokens = [*self.bytes, *SPECIAL, self.bytes[ord("t")] + self.bytes[ord("h")]]
        self.kinds = [
            *[gguf.TokenType.NORMAL] * 256,
            *[gguf.TokenType.CONTROL] * len(CONTROL),
            *[gguf.TokenType.USER_DEFINED] * len(MARKS),
            gguf.TokenType.NORMAL,
        ]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def width(self) -> int:
        """The model's width: the tokens and two dimensions for the heads, rounded up to a size that llama.cpp accepts."""
        return -(-(len(self) + 2) // 32) * 32

    def number(self, token: str) -> int:
        return 256 + SPECIAL.index(token) if token in SPECIAL else ord(token)


def _byte_names() -> list[str]:
    """The printable character that represents each byte in a byte-level BPE (as in GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _describe(writer: gguf.GGUFWriter, vocabulary: Vocabulary, context: int, template: str) -> None:
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(vocabulary.width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(vocabulary.width // HEADS)
    writer.add_rope_freq_base(ROTARY_BASE)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(vocabulary.number("<|endoftext|>"))
    writer.add_eos_token_id(vocabulary.number(END))
    writer.add_pad_token_id(vocabulary.number("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)


def _weights(vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    width = vocabulary.width
    query, key, value, output = _attention(vocabulary)
    return {
        "token_embd.weight": np.eye(len(vocabulary), width),
        "output_norm.weight": np.ones(width),
        "output.weight": _preferences(vocabulary),
        "blk.0.attn_norm.weight": np.ones(width),
        "blk.0.attn_q.weight": query,
        "blk.0.attn_k.weight": key,
        "blk.0.attn_v.weight": value,
        "blk.0.attn_output.weight": output,
        "blk.0.ffn_norm.weight": np.ones(width),
        "blk.0.ffn_gate.weight": np.zeros((32, width)),
        "blk.0.ffn_up.weight": np.zeros((32, width)),
        "blk.0.ffn_down.weight": np.zeros((width, 32)),
    }


def _preferences(vocabulary: Vocabulary) -> np.ndarray:
    """The output weights: what to generate after each token, and what the two heads add."""
    size = len(vocabulary)
    logits = np.zeros((size, vocabulary.width))
    logits[:, :size] = NEVER
    for place, letter in enumerate(string.ascii_letters + string.digits):
        logits[vocabulary.number(letter), :size] = -1 - STEP * place / 2  # of two names, the first by letter
    for last, wanted in NEXT.items():
        for place, token in enumerate(wanted):
            logits[vocabulary.number(token), vocabulary.number(last)] = BEST - STEP * place
    for dimension, extras in ((size, WORDS_DUE), (size + 1, JUST_CALLED)):
        for token, extra in extras.items():
            logits[vocabulary.number(token), dimension] = extra
    return logits


def _attention(vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Head 0 finds <|answer|> at any distance, by the pair of dimensions that the rotary embedding hardly rotates;
    head 1 finds the token one position back, by the fast-rotating pairs, which match best at distance 1."""
    size, width = len(vocabulary), vocabulary.width
    head = width // HEADS
    unit = 1 / np.sqrt(width)
    query, key, value, output = (np.zeros((width, width)) for _ in range(4))
    slow = head - 2
    query[slow, :size] = 1.0
    key[slow, vocabulary.number("<|answer|>")] = 1.0
    value[0, vocabulary.number("<|answer|>")] = unit
    output[size, 0] = 1.0
    for pair in range(6):
        angle = ROTARY_BASE ** (-2 * pair / head)
        row = head + 2 * pair
        query[row, :size], query[row + 1, :size] = np.cos(angle), -np.sin(angle)
        key[row, :size] = 1.0
    value[head, vocabulary.number("<tool_call>")] = unit
    output[size + 1, head] = 1.0
    return query, key, value, output


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--results", type=int, default=1, help="tool results after which it answers")
    parser.add_argument("--thinking", action="store_true", help="think before each reply")
    parser.add_argument("--context", type=int, default=8192, help="tokens")
    options = parser.parse_args()
    write_tiny_model(options.path, results=options.results, thinking=options.thinking, context=options.context)
