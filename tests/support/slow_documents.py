"""Small documents that take long to read, and functions for another process."""

import zlib
from typing import NoReturn

from tests.support.site import pdf_of


def slow_pdf(pages: int = 300, lines: int = 400_000) -> bytes:
    """A PDF of some kilobytes whose pages share one stream of so many lines."""
    stream = zlib.compress(b"BT /F1 1 Tf 50 750 Td 1 TL " + b"(a)'" * lines + b" ET", 9)
    numbers = range(5, 5 + pages)
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    fonts = b"<< /Font << /F1 4 0 R >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R /Resources %s >>" % fonts
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages),
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *[page] * pages,
    ]
    return pdf_of(objects)


def large_page(paragraphs: int = 1_200_000) -> bytes:
    """A page of some megabytes of the smallest paragraphs."""
    return b"<!doctype html><html><body>" + b"<p>a</p>" * paragraphs


def use_memory(size: int) -> int:
    """Take memory without end, `size` bytes at a time."""
    taken = []
    while True:
        taken.append(bytearray(size))


def loop() -> NoReturn:
    """Never end."""
    while True:
        pass


def crash(*_: object) -> None:
    """End the process as a fault of a C library does."""
    import os

    os.abort()
