"""Checks of what an answer cites, and of one that says that nothing was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.evaluation.score import Grade, Grader, right, text_of, texts_of
from agentkit.evaluation.words import has_phrase, words

MOST_LOOKED_AT = 300
"""How many characters of an answer may say that nothing was found; what follows is another answer."""

_SAID = (
    "nothing found|nothing was found|no answer|not found|no information|no relevant|no mention|no sources|no source "
    "|no results|no data|no evidence|do not know|dont know|does not know|not known|unknown to me|cannot find|cant find"
    "|could not find|couldnt find|can not find|did not find|didnt find|unable to find|was unable|not able to find"
    "|is not mentioned|are not mentioned|not mentioned|does not mention|do not mention|dont mention|doesnt mention"
    "|does not say|do not say|dont say|doesnt say|not provided|does not provide|do not provide|does not contain"
    "|do not contain|doesnt contain|dont contain|not available|cannot answer|cant answer|can not answer"
    "|could not answer|unable to answer|cannot be answered|cannot be determined|cannot determine|unanswerable"
    "|not enough information|insufficient information|not specified|not stated|no such"
    "|没有找到|未找到|找不到|沒有找到|没有相关|沒有相關|未提及|没有提到|没有提及|沒有提到|不知道|无法回答|無法回答|无法确定"
    "|没有答案|无相关信息|没有信息|查不到|无法找到|未能找到|没有足够|未说明"
    "|не найдено|не нашел|не нашёл|не нашла|не удалось найти|не могу найти|не знаю|нет информации|нет ответа"
    "|не упоминается|не указано|не могу ответить|невозможно ответить|ничего не найдено"
    "|لم أجد|لم يتم العثور|لا أعرف|لا توجد معلومات|لا يوجد|لم يذكر|لا يمكن|غير مذكور|لا أستطيع"
    "|nicht gefunden|nichts gefunden|weiß nicht|weiss nicht|keine information|keine informationen|keine angaben"
    "|kann nicht beantworten|nicht erwähnt|kein ergebnis|nicht bekannt"
    "|pas trouvé|rien trouvé|aucune information|ne sais pas|pas mentionné|aucun résultat|impossible de répondre"
    "|no encontré|no se encontró|no se ha encontrado|no sé|no hay información|no se menciona|sin información"
    "|não encontrei|não foi encontrado|não sei|não há informações|non ho trovato|non so|nessuna informazione"
    "|見つかりません|見つかりませんでした|わかりません|分かりません|情報がありません|記載がありません|記載されていません"
    "|찾을 수 없습니다|찾지 못했습니다|모르겠습니다|정보가 없습니다|언급되지 않"
)
_PHRASES = tuple(tuple(words(phrase)) for phrase in _SAID.split("|"))


@dataclass(frozen=True)
class Cites(Grader):
    """Each source that the answer cites says what the answer says (docs/evidence.md), and it cites one at least. The
    value is the share of its citations that hold."""

    def grade(self, record: Record, answer: Any) -> Grade:
        cited = [each for each in _citations(record) if each.get("source") is not None]
        wrong = [each for each in cited if each.get("verdict") != "supported"]
        if not cited:
            return Grade(0.0, "cites nothing")
        return Grade(1 - len(wrong) / len(cited), "; ".join(map(_fault, wrong[:3])))


@dataclass(frozen=True)
class CitesPage(Grader):
    """The answer cites a page: of the check, or the one (or one of those) in the item. pages: an address, or the end of
    one behind a "/", such as the name of a file."""

    pages: tuple[str, ...] = ()

    @property
    def reads_answer(self) -> bool:  # type: ignore[override]
        return not self.pages

    def accept(self, answer: Any) -> None:
        if not self.pages:
            texts_of(answer)

    def grade(self, record: Record, answer: Any) -> Grade:
        wanted = self.pages or tuple(texts_of(answer))
        cited = dict.fromkeys(str(each.get("address") or "") for each in _citations(record) if each.get("source"))
        found = any(is_page(address, page) for address in cited for page in wanted)
        listed = ", ".join(address for address in cited if address)
        return right(found, f"cites {listed or 'nothing'}, not {' or '.join(wanted[:3])}")


@dataclass(frozen=True)
class Refuses(Grader):
    """The answer says that nothing was found, at its beginning, in one of a dozen languages. expected: False: it does
    not."""

    expected: bool = True

    def grade(self, record: Record, answer: Any) -> Grade:
        refused = refuses(text_of(record))
        why = "says that nothing was found" if refused else "does not say that nothing was found"
        return right(refused == self.expected, f"{why}: {in_a_line(text_of(record), 100)}")


def refuses(text: str) -> bool:
    """Whether a text says at its beginning that nothing was found."""
    said = words(text[:MOST_LOOKED_AT].replace("’", "'"))
    return any(has_phrase(phrase, said) for phrase in _PHRASES)


def is_page(address: str, page: str) -> bool:
    """Whether an address is that of a page, or ends with its name."""
    found, wanted = _plain(address), _plain(page)
    if "#" not in page:
        found = found.partition("#")[0]
    found = found.rstrip("/")
    return bool(wanted) and (found == wanted or found.endswith(f"/{wanted}"))


def _plain(address: str) -> str:
    return unquote(address.strip()).replace("\\", "/").removeprefix("./").rstrip("/")


def _citations(record: Record) -> list[Mapping[str, Any]]:
    return [each for each in record.get("citations") or () if isinstance(each, Mapping)]


def _fault(citation: Mapping[str, Any]) -> str:
    reason = citation.get("reason") or citation.get("verdict") or "no verdict"
    return f'[{citation.get("source")}] {reason}: "{in_a_line(str(citation.get("sentence") or ""), 60)}"'
