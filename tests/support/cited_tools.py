"""Tools that read pages with known texts, and a model that cites them."""

from agentkit import Context, tool
from tests.support.model_server import Answer, Asked, calls, delta, streamed, whole

READ = f"{__name__}:read_pages"
"""`module:name` of the tool below, as loaded by a service."""
PAGES = {
    "https://a.example/oslo": ("Oslo", "Oslo is the capital of Norway. It has 717,710 inhabitants."),
    "notes/bergen.txt": ("", "Bergen is known for its rain."),
}
CLEF = "\U0001d11e"
"""A character that is one in Python, and two in JavaScript."""
CITING = (
    f"\n {CLEF}{CLEF} Two notes first.\n\nOslo is the capital of Norway [1]. "
    "**The mayor founded 42 zoos in 1999 [1].**\n\nBergen is known for its rain [2]. Rome is old [9].\n"
)
"""An answer: of its sentences with a mark the first and the third are supported, the other two are not."""


@tool(read_only=True)
def read_pages(ctx: Context) -> str:
    """Read all pages."""
    numbers = [ctx.source(address, title, text) for address, (title, text) in PAGES.items()]
    return " ".join(f"[{number}]" for number in numbers)


def citing(request: Asked) -> Answer:
    """Read the pages, then cite them; "thanks" has an answer of its own."""
    last = request.body["messages"][-1]
    if "thanks" in str(last["content"]):
        return said(request, "You are welcome.")
    if last["role"] == "user":
        return calls(("read_pages", {}))
    return said(request, CITING)


def said(request: Asked, text: str) -> Answer:
    if not request.body.get("stream"):
        return whole(text)
    return streamed(*(delta(content=text[start : start + 7]) for start in range(0, len(text), 7)))
