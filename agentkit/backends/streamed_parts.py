"""The content of a reply as a list of parts, put together from the pieces in which a server streams it."""

from agentkit.message import Part


class StreamedParts:
    """Adds up parts: consecutive ones of one type are merged (Mistral streams its reasoning like this). Adding takes
    time for the part, and not for what was before."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._texts: list[str] = []  # what the last part grows by

    def add(self, part: Part) -> None:
        """Add a part."""
        last = self._parts[-1] if self._parts else {}
        if part.get("type") == last.get("type") == "text":
            self._texts.append(text_of_part(part))
        elif part.get("type") == last.get("type") == "thinking" and not last.get("closed"):
            self._texts.append(text_of_part(part))
            last.update({key: value for key, value in part.items() if key != "thinking"})
        else:
            self._settle()
            self._parts.append(dict(part))

    @property
    def value(self) -> list[Part]:
        """The parts."""
        self._settle()
        return self._parts

    def _settle(self) -> None:
        if not self._texts:
            return
        last = self._parts[-1]
        text = "".join((text_of_part(last), *self._texts))
        if last["type"] == "text":
            last["text"] = text
        else:
            last["thinking"] = [{"type": "text", "text": text}]
        self._texts = []


def text_of_part(part: Part) -> str:
    """The text, or the thought, of a part; "" of any other."""
    if part.get("type") == "thinking":
        return "".join(each.get("text") or "" for each in part.get("thinking") or ())
    return (part.get("text") or "") if part.get("type") == "text" else ""
