"""Where the pages of a document begin: a form feed in its text, and a line for those who read it."""

PAGE = "\f"
"""Stands between two pages in the text of a document that has any, as pdftotext writes it."""

BETWEEN = f"\n\n{PAGE}\n"


def with_page_lines(text: str) -> str:
    """The text with a line such as `[page 3]` before each page in place of the form feeds; the same text if it has
    none."""
    if PAGE not in text:
        return text
    pages = enumerate(text.split(PAGE), 1)
    return "\n\n".join(f"{page_line(number)}\n\n{page.strip()}" for number, page in pages if page.strip())


def page_line(number: int) -> str:
    """The line before a page."""
    return f"[page {number}]"
