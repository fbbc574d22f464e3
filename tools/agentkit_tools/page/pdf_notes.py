"""What was filled in and remarked on a page of a PDF: it is kept beside the text that the page shows."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

MAX_NOTES = 2_000
"""Fields and remarks of a page that are looked at."""

MAX_BYTES = 40_000
"""Maximum size of a value or a remark in UTF-16; a longer one is cut."""

_REMARKS = frozenset(
    (
        *(pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_HIGHLIGHT, pdfium.FPDF_ANNOT_UNDERLINE),
        *(pdfium.FPDF_ANNOT_SQUIGGLY, pdfium.FPDF_ANNOT_STRIKEOUT, pdfium.FPDF_ANNOT_STAMP, pdfium.FPDF_ANNOT_CARET),
        *(pdfium.FPDF_ANNOT_SQUARE, pdfium.FPDF_ANNOT_CIRCLE, pdfium.FPDF_ANNOT_LINE, pdfium.FPDF_ANNOT_POLYGON),
        *(pdfium.FPDF_ANNOT_POLYLINE, pdfium.FPDF_ANNOT_INK),
    )
)
_WRITTEN = frozenset((pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX))
_CHECKED = frozenset((pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON))
_UNNAMED = frozenset(("", "yes", "on", "1", "true"))
"""Values of a box that say no more than that it is checked."""


def notes_of_page(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> list[str]:
    """The fields of a form that are filled in, one a line, and the remarks on a page, in their order. The forms of the
    document were initialised before the page was loaded, if it has any."""
    form = document.formenv.raw if document.formenv is not None else None
    fields: list[str] = []
    remarks: list[str] = []
    for number in range(min(pdfium.FPDFPage_GetAnnotCount(page), MAX_NOTES)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            fields += _field(form, annotation)
            remarks += _remark(annotation)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return [*(["\n".join(dict.fromkeys(fields))] if fields else []), *remarks]


def _field(form: Any, annotation: Any) -> Iterator[str]:
    if form is None or _is_hidden(annotation) or pdfium.FPDFAnnot_GetSubtype(annotation) != pdfium.FPDF_ANNOT_WIDGET:
        return
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _WRITTEN:
        if value := _text(lambda *at: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, *at)):
            yield f"- {_name(form, annotation)}: {value}"
    elif kind in _CHECKED and pdfium.FPDFAnnot_IsChecked(form, annotation):
        value = _text(lambda *at: pdfium.FPDFAnnot_GetFormFieldExportValue(form, annotation, *at))
        yield f"- {_name(form, annotation)}: {'yes' if value.lower() in _UNNAMED else value}"


def _name(form: Any, annotation: Any) -> str:
    """What a field is called: as readers are told, else the last part of its name in the file."""
    told = _text(lambda *at: pdfium.FPDFAnnot_GetFormFieldAlternateName(form, annotation, *at))
    name = _text(lambda *at: pdfium.FPDFAnnot_GetFormFieldName(form, annotation, *at))
    return told or name.rpartition(".")[2].partition("[")[0] or name or "(a field without a name)"


def _remark(annotation: Any) -> Iterator[str]:
    if _is_hidden(annotation) or pdfium.FPDFAnnot_GetSubtype(annotation) not in _REMARKS:
        return
    if said := _text(lambda *at: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", *at)):
        author = _text(lambda *at: pdfium.FPDFAnnot_GetStringValue(annotation, b"T", *at))
        yield f"Comment of {author}: {said}" if author else f"Comment: {said}"


def _is_hidden(annotation: Any) -> bool:
    return bool(pdfium.FPDFAnnot_GetFlags(annotation) & (pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW))


def _text(read: Callable[[Any, int], int]) -> str:
    """A text that pdfium writes into a buffer, as one line. read: gets the buffer and its size, returns the size that
    is needed."""
    size = read(None, 0)
    if size <= 2:  # its end alone
        return ""
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return " ".join(buffer.raw[: min(size - 2, MAX_BYTES)].decode("utf-16-le", "replace").split())
