"""CPU cost of parsing replies of text-completion servers and of rendering their prompts, as ratios within one run.

    make bench        or        python -m benchmarks.text_protocol [--quick]

Parsing: the frames of a streamed answer of 20,000 tokens are decoded and their texts joined; then the same with each
text fed to the parser of each format. Target: at most 3 times the CPU time per token. Then answers of 1, 10 and 100
times the length: parsing has to take linear time. Rendering: an agent's run of 300 turns; the CPU time of turn 300 per
byte that it adds is at most twice that of turn 30 (not for Mistral, whose official template moves the tools to each new
question, and Hermes, whose template ends the last result differently: there a prompt is not a prefix of the next).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from agentkit.message import RESPONSE_TAG
from agentkit.text.families import families, family_named
from agentkit.text.parser import ReplyParser
from agentkit.text.prompt import PromptMaker
from agentkit.transcript import Transcript

PROSE = (" The lighthouse", " stands", " on", " 3", " <", " 4", " rocks", ",", " and", " it", " shines", ".\n")
TOOL = {
    "type": "function",
    "function": {
        "name": "write",
        "description": "Write a file.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
}
FORMATS = {family.format.name: family.format for family in families()}
BAR, BLOCK = "｜", "▁"
OPENINGS = {
    "hermes": ('<tool_call>\n{"name": "write", "arguments": {"text": "', '"}}\n</tool_call>'),
    "qwen_coder": ("<tool_call>\n<function=write>\n<parameter=text>\n", "\n</parameter>\n</function>\n</tool_call>"),
    "llama": ('{"name": "write", "parameters": {"text": "', '"}}'),
    "mistral": ('[TOOL_CALLS]write{"text": "', '"}'),
    "deepseek": (
        f'<{BAR}tool{BLOCK}call{BLOCK}begin{BAR}>write<{BAR}tool{BLOCK}sep{BAR}>{{"text": "',
        f'"}}<{BAR}tool{BLOCK}call{BLOCK}end{BAR}>',
    ),
    "glm": ("<tool_call>write\n<arg_key>text</arg_key>\n<arg_value>", "</arg_value>\n</tool_call>"),
    "kimi": (
        '<|tool_call_begin|>functions.write:0<|tool_call_argument_begin|>{"text": "',
        '"}<|tool_call_end|>',
    ),
}


def lowest(work: Callable[[], Any], rounds: int) -> float:
    """Returns the lowest CPU time of several rounds, in seconds."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def answer(name: str, tokens: int) -> list[str]:
    """Returns an answer that is half prose and half the argument of one long call."""
    words = [PROSE[index % len(PROSE)] for index in range(tokens // 2)]
    opening, closing = OPENINGS[name]
    inside = [word.replace("\n", "\\n") for word in words] if '"' in opening else words
    return [*words, opening, *inside, closing]


def frame(index: int, text: str) -> bytes:
    """Returns a frame as LightLLM sends it."""
    token = {
        "id": index,
        "text": text,
        "logprob": -0.25,
        "special": False,
        "count_output_tokens": index,
        "prompt_tokens": 31,
        "logprobs": {str(index): {"logprob": -0.25, "rank": 1, "decoded_token": text}},
    }
    event = {"token": token, "generated_text": None, "finished": False, "finish_reason": None, "details": None}
    return b"data:" + json.dumps(event, ensure_ascii=False).encode()


def joined(frames: list[bytes]) -> str:
    return "".join([json.loads(each[5:])["token"]["text"] for each in frames])


def parse(name: str, frames: list[bytes]) -> int:
    parser = ReplyParser(FORMATS[name], [TOOL], stops=["<|im_end|>", RESPONSE_TAG])
    count = 0
    for each in frames:
        count += len(parser.feed(json.loads(each[5:])["token"]["text"]))
    return count + len(parser.finish())


def feed(name: str, texts: list[str]) -> None:
    parser = ReplyParser(FORMATS[name], [TOOL], stops=["<|im_end|>", RESPONSE_TAG])
    for each in texts:
        parser.feed(each)
    parser.finish()


def parsing(tokens: int, rounds: int) -> None:
    print(f"CPU microseconds per token of a streamed answer of {tokens:,} tokens (target: ratio at most 3)")
    print(f"{'':>12} {'joining':>9} {'parsing':>9} {'ratio':>6}")
    for name in FORMATS:
        frames = [frame(index, text) for index, text in enumerate(answer(name, tokens))]
        baseline = lowest(lambda: joined(frames), rounds)
        parsed = lowest(lambda: parse(name, frames), rounds)
        print(f"{name:>12} {baseline / tokens * 1e6:9.2f} {parsed / tokens * 1e6:9.2f} {parsed / baseline:6.2f}")


def length(tokens: int, rounds: int) -> None:
    print("\nCPU microseconds per token by the length of the answer (target: no growth)")
    print(f"{'':>12} {'1x':>9} {'10x':>9} {'100x':>9} {'100x/1x':>8}")
    for name in FORMATS:
        costs = []
        for factor in (1, 10, 100):
            texts = answer(name, tokens * factor)
            costs.append(lowest(lambda: feed(name, texts), max(1, rounds // factor)) / len(texts) * 1e6)
        print(f"{name:>12} {costs[0]:9.2f} {costs[1]:9.2f} {costs[2]:9.2f} {costs[2] / costs[0]:8.2f}")


def rendering(turns: int) -> None:
    print("\nCPU microseconds per byte that a turn adds to the prompt (target: turn 300 at most twice turn 30)")
    print(f"{'':>12} {'turn 30':>9} {'turn 300':>9} {'ratio':>6}   one question   and with a question each turn")
    for family in ("qwen2.5", "qwen3", "qwen3_coder", "llama", "deepseek", "glm", "kimi", "mistral", "hermes"):
        line = f"{family:>12}"
        for shape in ("one", "many"):
            early, late = render_costs(family, turns, shape == "many")
            line += f" {early:9.3f} {late:9.3f} {late / early:6.2f}" if shape == "one" else f"   {late / early:6.2f}"
        print(line)


def render_costs(family: str, turns: int, questions: bool) -> tuple[float, float]:
    """Returns the microseconds per byte around turn 30 and around the last turn, as medians of 20 turns each."""
    maker = PromptMaker(family_named(family))
    messages = Transcript([{"role": "system", "content": "You write."}, {"role": "user", "content": "Write."}])
    costs, size = [], 0
    for number in range(turns + 1):
        started = time.process_time_ns()
        text = maker.prompt(messages, [TOOL]).text
        costs.append((time.process_time_ns() - started) / 1000 / max(1, len(text) - size))
        size = len(text)
        arguments = json.dumps({"text": f"line {number} of the file, and so on " * 6})
        call = {"id": f"call{number}", "type": "function", "function": {"name": "write", "arguments": arguments}}
        reply = {"role": "assistant", "content": "I write on.", "tool_calls": [call]}
        messages.extend([reply, {"role": "tool", "tool_call_id": f"call{number}", "content": "written. " * 30}])
        if questions:
            final = {"role": "assistant", "content": "Written."}
            messages.extend([final, {"role": "user", "content": f"And part {number}?"}])
    return statistics.median(costs[20:40]), statistics.median(costs[-20:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    quick = parser.parse_args().quick
    parsing(2_000 if quick else 20_000, 3 if quick else 5)
    length(200 if quick else 1_000, 3 if quick else 20)
    rendering(60 if quick else 300)


if __name__ == "__main__":
    main()
