"""Whether the words of an error say that a server does not know the session any more, and nothing else."""

import re

_OPENING = r"(?:(?:error|bad request|unauthorized|not found|service unavailable)[:,.]\s*){0,2}(?:the )?"
_SESSION = r"(?:mcp[ _-]?)?session(?:[ _-]?id)?(?: header)?"
_ID = r"(?:(?: with id)? ['\"]?(?=[\w-]{0,99}\d)[\w-]{8,100}['\"]?)?"
_LACKS = r"(?:no|no valid|no active|no such|invalid|unknown|missing|expired)"
_LOST = (
    r"(?:not found|not valid|unknown|invalid|expired|terminated|closed|required|missing|does not exist"
    r"|(?:must|has to) be (?:given|provided|sent))"
)
_END = r"(?=\s*(?:$|[.:;,!(]|- |or |in (?:the )?(?:mcp-session-id )?headers?\b))"
_SAYS_LOST = re.compile(
    rf"{_OPENING}(?:{_SESSION}{_ID} (?:is |was |has |has been )?{_LOST}"
    rf"|(?:{_LACKS} or )?{_LACKS} {_SESSION}(?: (?:was )?(?:provided|found|given|specified))?"
    rf"|no transport found for {_SESSION}){_END}",
    re.IGNORECASE,
)


def says_lost_session(words: str) -> bool:
    """Whether an error is about the session between client and server alone, such as "Session not found" and "Bad
    Request: No valid session ID provided". One that mentions another session, such as that of a browser or a shop, is
    what a tool says of its own work."""
    return _SAYS_LOST.match(words.strip()) is not None
