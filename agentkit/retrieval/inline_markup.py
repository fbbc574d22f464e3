"""Removes the markup inside of a line: of Markdown, reStructuredText and HTML. Code stays as it is."""

import html
import re

_REFERENCES = (
    (re.compile(r":[\w:+-]{2,40}:`~?!?([^`<]{1,300}?)(?:\s{0,9}<[^`>]{0,300}>)?`"), r"\1"),
    (re.compile(r"`([^`<]{1,300}?)\s{0,9}<[^`>]{0,500}>`__?(?!\w)"), r"\1"),
    (re.compile(r"(?<!`)`([^`]{1,300})`__?(?!\w)"), r"\1"),
)
"""Roles and links of reStructuredText, which are in backquotes too."""
_CODE = re.compile(r"``[^`]{1,500}``|`[^`]{1,500}`")
_MARK = "\ue0f7"
"""Stands for code meanwhile."""
_CHANGES = (
    (re.compile(r"<!--(?:[^<]|<(?!!--)){0,1000}?-->"), ""),
    (re.compile(r"(?<=[^\s\[!])(?:\[(?:\^?\d{1,3}|\^[\w-]{1,30}|citation needed|来源请求|來源請求)\]_?)+(?!\()"), ""),
    (
        re.compile(
            r"!?\[((?:[^\[\]]|\[[^\[\]]{0,100}\]){0,300})\]\((?:[^()\s]|\([^()\s]{0,200}\)){0,1000}(?:\s\"[^\"]{0,200}\")?\)"
        ),
        r"\1",
    ),
    (re.compile(r"\[([^\[\]]{1,300})\]\[[^\[\]]{0,100}\]"), r"\1"),
    (re.compile(r"<(https?://[^<>\s]{1,1000})>"), r"\1"),
    (re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,15}(?:\s[^<>]{0,300})?/?>"), ""),
    (re.compile(r"\s\[(?:\^?\d{1,3}|#\w{0,20})\]_"), ""),
    (
        re.compile(
            r"(?<![\w*])\*\*\*?(?=[^\s*])([^*\n]{1,400})(?<=\S)\*\*\*?|\*\*(?=[^\s*])([^*\n]{1,400})(?<=\S)\*\*"
        ),
        r"\1\2",
    ),
    (re.compile(r"(?<!\w)__(?=\S)([^_\n]{1,400})(?<=\S)__(?!\w)"), r"\1"),
    (re.compile(r"(?<![A-Za-z0-9*/])\*(?=[^\s*])([^*\n]{1,300})(?<=[^\s*])\*(?![A-Za-z0-9*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=[^\s_])([^_\n]{1,300})(?<=[^\s_])_(?!\w)"), r"\1"),
    (re.compile(r"~~(?=\S)([^~\n]{1,300})~~"), r"\1"),
    (re.compile(r"\\([*_`\[\]#<>|~.])"), r"\1"),
)


def without_markup(line: str) -> str:
    """The line without links' addresses, emphasis, roles, tags and footnote marks; what is in backquotes stays."""
    for pattern, replacement in _REFERENCES if "`" in line else ():
        line = pattern.sub(replacement, line)
    code = [each.strip("`").strip() for each in _CODE.findall(line)]
    line = _CODE.sub(_MARK, line.replace(_MARK, ""))
    for pattern, replacement in _CHANGES:
        line = pattern.sub(replacement, line)
    line = html.unescape(line) if "&" in line else line
    kept = iter(code)
    return re.sub(_MARK, lambda _: f"`{next(kept)}`", line).strip()
