"""Office documents, as small as they can be, for tests."""

import io
import zipfile
from collections.abc import Mapping

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STYLES = (
    '<w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>'
    '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
    '<w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="berschrift2"/></w:style>'
)


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A ZIP file of these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for path, content in parts.items():
            package.writestr(path, content)
    return file.getvalue()


def relations(**targets: str) -> str:
    """The relationships of a part: kind_number="target"."""
    each = (
        f'<Relationship Id="{name}" Type="{RELATIONS}/{name.partition("_")[0]}" Target="{target}"/>'
        for name, target in targets.items()
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(each)}</Relationships>'


def word(body: str, **more: str) -> bytes:
    """A Word document with this XML in its body; more: other parts of the folder "word"."""
    space = f'xmlns:w="{WORD}" xmlns:r="{RELATIONS}" xmlns:mc="mc" xmlns:wps="wps" xmlns:v="v" xmlns:wp="wp"'
    parts = {
        "_rels/.rels": relations(officeDocument="word/document.xml"),
        "word/document.xml": f"<w:document {space}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {space}>{_STYLES}</w:styles>",
        "word/_rels/document.xml.rels": relations(styles="styles.xml", **{name: f"{name}.xml" for name in more}),
    }
    return zipped(parts | {f"word/{name}.xml": f"<w:part {space}>{xml}</w:part>" for name, xml in more.items()})


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of a Word document."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def open_document(body: str, **more: str) -> bytes:
    """An OpenDocument file with this XML in its body; more: other parts by their name."""
    names = ("office", "text", "table", "draw", "presentation")
    space = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in names)
    content = f"<office:document-content {space}><office:body>{body}</office:body></office:document-content>"
    return zipped({"content.xml": content} | more)


def slides(*shapes: str, notes: str = "") -> bytes:
    """A presentation with these shapes on its slides; notes: of the first slide."""
    space = f'xmlns:p="p" xmlns:a="a" xmlns:r="{RELATIONS}"'
    ids = "".join(f'<p:sldId id="{number}" r:id="slide_{number}"/>' for number in range(1, len(shapes) + 1))
    paths = {f"slide_{number}": f"slides/slide{number}.xml" for number in range(1, len(shapes) + 1)}
    parts = {
        "_rels/.rels": relations(officeDocument="ppt/presentation.xml"),
        "ppt/presentation.xml": f"<p:presentation {space}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(**paths),
    }
    parts |= {f"ppt/slides/slide{n}.xml": f"<p:sld {space}>{each}</p:sld>" for n, each in enumerate(shapes, 1)}
    if notes:
        parts["ppt/slides/_rels/slide1.xml.rels"] = relations(notesSlide="../notesSlides/notesSlide1.xml")
        parts["ppt/notesSlides/notesSlide1.xml"] = (
            f"<p:notes {space}>{shape(notes, 'body')}{shape('7', 'sldNum')}</p:notes>"
        )
    return zipped(parts)


def shape(text: str, kind: str = "") -> str:
    """A shape of a slide."""
    placeholder = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else ""
    return (
        f"<p:sp><p:nvSpPr>{placeholder}</p:nvSpPr><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
    )


def book(chapters: Mapping[str, str], **more: str) -> bytes:
    """A book with these chapters, some of which may be missing (""), listed in their order; more: other parts."""
    items = "".join(f'<item id="c{n}" href="{name}"/>' for n, name in enumerate(chapters))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    parts = {
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/a.opf"/></rootfiles></container>',
        "OEBPS/a.opf": (
            '<package xmlns:dc="dc"><metadata><dc:title>The whale book</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
        ),
    }
    texts = {f"OEBPS/{name}": f"<html><body>{text}</body></html>" for name, text in chapters.items() if text}
    return zipped(parts | texts | more)
