"""Links in documents, which are read as those of pages: as Markdown."""

import re

MAX_ADDRESS = 2_000
"""Characters of an address; a link to a longer one is its text."""

_WEB = re.compile(r"(?:https?://|mailto:)\S", re.IGNORECASE)


def linked(text: str, address: str) -> str:
    """A text that leads to an address, with spaces around it as it has them. The text alone where it says the address
    itself, and where that is none of the web: places in the document, files of the one who wrote it."""
    shown = text.strip()
    address = address.strip()
    bare = address.partition(":")[2].strip("/")
    if not shown or not _WEB.match(address) or len(address) > MAX_ADDRESS or bare in shown or "\n" in shown:
        return text
    target = re.sub(r"[\s()<>]", lambda found: f"%{ord(found[0]):02X}", address)
    return text.replace(shown, f"[{shown}]({target})", 1)
