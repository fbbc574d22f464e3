"""Pages that a browser has saved, mailboxes, and what a notebook shows as a page."""

import json
from pathlib import Path

import pytest

from agentkit_tools import documents
from agentkit_tools.file_text import read_file
from agentkit_tools.file_text.mail import read_mailbox
from tests.support.growth import assert_linear

SAVED = b"""From: <Saved by Blink>
Snapshot-Content-Location: https://example.org/a
Subject: =?utf-8?Q?Der_Hafen?=
MIME-Version: 1.0
Content-Type: multipart/related; type="text/html"; boundary="----B"

------B
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable
Content-Location: https://example.org/a

<!DOCTYPE html><html><head><title>Der Hafen</title></head><body><nav>Menu</nav><p>Der Hafen wur=
de im Jahr 1871 er=C3=B6ffnet.</p></body></html>
------B
Content-Type: image/png
Content-Transfer-Encoding: base64

iVBORw0KGgo=
------B--
"""


@pytest.mark.parametrize("name", ["a.mht", "a.mhtml", "A.MHTML"])
def test_a_page_that_a_browser_has_saved_is_read_as_a_page(name: str) -> None:
    # nuthrash/obsidian-html-plugin#19, inception-project/inception#4470
    found = read_file(name, SAVED)
    assert (found.title, found.text) == ("Der Hafen", "Der Hafen wurde im Jahr 1871 eröffnet.")


def test_a_page_under_the_name_of_a_saved_one_is_read() -> None:
    assert read_file("a.mht", b"<html><title>T</title><p>The harbour.").text == "The harbour."


MAILBOX = b"""From a@x.example Mon Jan  1 00:00:00 2024
From: a@x.example
Subject: One
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

VGhlIGhhcmJvdXIgaXMgb3Blbi4=

From b@x.example Mon Jan  1 00:00:00 2024
From: b@x.example
Subject: Two

Second mail.
From the sea it looks small.
>From here too.

From c@x.example Mon Jan  1 00:00:00 2024
From: c@x.example

Third.
"""


def test_all_mails_of_a_mailbox_are_read() -> None:
    for content in (MAILBOX, MAILBOX.replace(b"\n", b"\r\n")):
        assert read_file("a.mbox", content).text == (
            "From: a@x.example\nSubject: One\n\nThe harbour is open.\n\n"
            "From: b@x.example\nSubject: Two\n\nSecond mail.\nFrom the sea it looks small.\nFrom here too.\n\n"
            "From: c@x.example\n\nThird."
        )


def test_a_mailbox_is_read_in_linear_time() -> None:
    assert_linear(lambda size: read_mailbox("a.mbox", MAILBOX * size), 40)
    assert_linear(lambda size: read_mailbox("a.mbox", b"From " * size + b"\n\n" * size), 50_000)


def test_both_are_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "page.mhtml").write_bytes(SAVED)
    (tmp_path / "mail.mbox").write_bytes(MAILBOX)
    search = documents(tmp_path, keep_index=False)[0]
    assert "source: page.mhtml" in search(["Hafen eröffnet"])
    assert "source: mail.mbox" in search(["harbour open"])


# Notebooks


def shown(**forms: object) -> str:
    output = {"output_type": "display_data", "data": {name.replace("_", "/"): form for name, form in forms.items()}}
    notebook = {"cells": [{"cell_type": "code", "source": "", "outputs": [output]}], "nbformat": 4}
    return read_file("a.ipynb", json.dumps(notebook).encode()).text


TABLE = "<style>th {color: red}</style><table><tr><th>town<th>people</tr><tr><td>Oslo<td>717710</tr></table>"


@pytest.mark.parametrize(
    "plain",
    [
        "<IPython.core.display.HTML object>",
        "<pandas.io.formats.style.Styler at 0x7f5a1c0d2b50>",
        "<folium.folium.Map object at 0x10f2>",
        "",
    ],
)
def test_a_page_that_a_notebook_shows_is_read(plain: str) -> None:
    more = {"text_plain": plain} if plain else {}
    assert shown(text_html=TABLE, **more) == "| town | people |\n| --- | --- |\n| Oslo | 717710 |"


def test_the_plain_text_of_a_result_comes_before_its_page() -> None:
    assert shown(text_plain="   town\n0  Oslo", text_html=TABLE) == "town\n0  Oslo"
    assert shown(text_plain=["<Oslo>"], text_html="<p>x") == "<Oslo>"


def test_a_formula_that_a_notebook_shows_is_read() -> None:
    assert shown(text_plain="<IPython.core.display.Latex object>", text_latex="$\\frac{1}{2}$") == "$\\frac{1}{2}$"


def test_what_is_shown_in_no_form_that_is_read_is_named() -> None:
    assert shown(text_plain="<IPython.core.display.JSON object>") == "<IPython.core.display.JSON object>"
    assert shown(text_plain="<x.Map object>", text_html="<script>draw()</script>") == "<x.Map object>"
