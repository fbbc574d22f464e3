"""What an answer cites, as the OpenAI API says it: annotations of its text.

Places count characters (Unicode code points) of the message's text. Besides the fields of the API each annotation has
`verdict`, and `reason` where the source does not support the sentence.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from agentkit.evidence.citation import Citation
from agentkit.serving.exchange import Answer

Annotation = dict[str, Any]

_WEB = re.compile(r"https?://", re.IGNORECASE)


def completion_annotations(answer: Answer, length: int) -> list[Annotation]:
    """Those of a chat completion: the sentences that cite a page. length: of the message's text, in characters. (A
    source that has no web address has no form there; clients make links of these.)"""
    return [
        {"type": "url_citation", "url_citation": _page(each, shift), **_verdict(each)}
        for each, shift in _placed(answer, length)
        if _WEB.match(each.address)
    ]


def response_annotations(answer: Answer, length: int) -> list[Annotation]:
    """Those of the text of a response: of pages as `url_citation`, of other sources as `file_citation`."""
    return [
        {"type": "url_citation", **_page(each, shift), **_verdict(each)}
        if _WEB.match(each.address)
        else {"type": "file_citation", **_file(each, shift), **_verdict(each)}
        for each, shift in _placed(answer, length)
        if each.address
    ]


def _placed(answer: Answer, length: int) -> Iterator[tuple[Citation, int]]:
    """The citations whose source there is, and by how much their places are shifted: the text of a message ends with
    the answer, without the white space around it; before it is what the model said earlier."""
    if not answer.result.citations:
        return iter(())
    output = str(answer.result.output)
    shift = length - len(output.rstrip())
    return ((each, shift) for each in answer.result.citations if each.source is not None and each.start + shift >= 0)


def _page(citation: Citation, shift: int) -> Annotation:
    return {
        "start_index": citation.start + shift,
        "end_index": citation.end + shift,
        "title": citation.title or citation.address,
        "url": citation.address,
    }


def _file(citation: Citation, shift: int) -> Annotation:
    name = PurePosixPath(citation.address.replace("\\", "/")).name
    return {"index": citation.end + shift, "file_id": citation.address, "filename": name or citation.address}


def _verdict(citation: Citation) -> dict[str, str]:
    return {"verdict": citation.verdict} | ({"reason": citation.reason} if citation.reason else {})
