"""The names of months, as whole words: "maybe" is no May, and "Marseille" no March."""

import re

from agentkit.retrieval.words import folded

_NAMES = (
    "january jan januar januari janvier janv enero ene gennaio gen gener janeiro ianuarie styczen stycznia "
    "styczniu leden ledna ocak ιανουαριος ιανουαριου янв январь января январе януари січень січня يناير ינואר",
    "february feb februar februari fevrier fev febrero febbraio febrer fevereiro februarie luty lutego lutym "
    "unor unora subat φεβρουαριος φεβρουαριου фев февраль февраля феврале февруари лютий лютого فبراير شباط "
    "פברואר",
    "march mar marz mars marzo marco marc maart mart martie maret marts marzec marca marcu brezen brezna "
    "μαρτιος μαρτιου март марта марте березень березня مارس اذار מרץ מרס",
    "april apr avril avr abril abr aprile aprilie kwiecien kwietnia kwietniu duben dubna nisan απριλιος "
    "απριλιου апр апрель апреля апреле април квітень квітня ابريل نيسان אפריל",
    "may mai mayo maggio mag maig maio mei maj maja maju kveten kvetna mayis μαιος μαιου май мая мае травень "
    "травня مايو ايار מאי",
    "june jun juin juni junio giugno giu juny junho iunie czerwiec czerwca czerwcu cerven cervna haziran "
    "ιουνιος ιουνιου июн июнь июня июне юни червень червня يونيو حزيران יוני",
    "july jul juillet juil juli julio luglio lug juliol julho iulie lipiec lipca lipcu cervenec cervence "
    "temmuz ιουλιος ιουλιου июл июль июля июле юли липень липня يوليو تموز יולי",
    "august aug aout agosto agost augustus augusti agustus sierpien sierpnia sierpniu srpen srpna agustos "
    "αυγουστος αυγουστου авг август августа августе серпень серпня اغسطس אוגוסט",
    "september sep sept septembre septiembre settembre setembre setembro septembrie wrzesien wrzesnia wrzesniu "
    "zari eylul σεπτεμβριος σεπτεμβριου сен сент сентябрь сентября сентябре септември вересень вересня سبتمبر "
    "ايلول ספטמבר",
    "october oct oktober okt octobre octubre ottobre ott outubro octombrie pazdziernik pazdziernika "
    "pazdzierniku rijen rijna ekim οκτωβριος οκτωβριου окт октябрь октября октябре октомври жовтень жовтня "
    "اكتوبر אוקטובר",
    "november nov novembre noviembre novembro noiembrie listopad listopada listopadu kasim νοεμβριος νοεμβριου "
    "ноя ноябрь ноября ноябре ноември листопад листопада نوفمبر נובמבר",
    "december dec dez dezember decembre diciembre dic dicembre dezembro decembrie desember desembre grudzien "
    "grudnia grudniu prosinec prosince aralik δεκεμβριος δεκεμβριου дек декабрь декабря декабре декември "
    "грудень грудня ديسمبر דצמבר",
)
"""Without the abbreviations that are everyday words of other languages, such as "set", "out" and "ago"."""

_WORDS = {folded(word): number for number, words in enumerate(_NAMES, 1) for word in words.split()}
_HEBREW_IN = "ב"
"""What stands before the name of a month in a date, written as one word."""
_CAPITAL_MAY = re.compile(r"[^\W\d_][,;)]? May(?!\w)")
_LONG = 4


def month_of(word: str) -> int:
    """The month that a folded word names, 1 to 12; 0 for none."""
    return _WORDS.get(word) or _WORDS.get(word.removeprefix(_HEBREW_IN), 0)


def names_month(month: int, written: str, text: str, words: str) -> bool:
    """Whether a text names a month as it is `written` elsewhere, also in another form or shortened. words: the text
    folded, with " " before it."""
    if written == "may":  # as a word it is in nearly every English text
        return _CAPITAL_MAY.search(text) is not None
    named = (word for word, number in _WORDS.items() if number == month and _is_alike(word, written))
    return any(f" {word} " in f"{words} " for word in {*named, written})


def _is_alike(word: str, written: str) -> bool:
    """Whether two names of a month are of one language, or of two of which most have the same."""
    if not word.isascii():
        return word[:2] == written.removeprefix(_HEBREW_IN)[:2]
    return word.startswith(written[:_LONG]) or (len(word) >= _LONG and written.startswith(word))
