"""English words that are near to each other: forms of one word, and words that people use for the same thing.

For short texts, of which each word counts. In longer ones a question is found by its beginnings and trigrams
(`agentkit.retrieval.tables`), and needs neither.
"""

import functools
import re
from collections.abc import Iterator

_HAS_VOWEL = re.compile("[aeiouy]")
_PLURALS = ("sses", "ches", "shes", "xes", "zes")
_NO_PLURALS = ("ss", "us", "is")


@functools.lru_cache(16_384)
def stem(word: str) -> str:
    """A word without its ending: `converted`, `converting` and `converts` are one, and so are `calculate`,
    `calculator` and `calculation`. word: in lower case. Words of other scripts stay as they are."""
    if len(word) < 4 or not word.isascii():
        return word
    word = _without_form(_singular(word))
    if word.endswith("y") and len(word) > 3 and word[-2] not in "aeou":
        return f"{word[:-1]}i"  # `city`, as of `cities`
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _singular(word: str) -> str:
    if word.endswith(_PLURALS):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(_NO_PLURALS) else word


def _without_form(word: str) -> str:
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and _HAS_VOWEL.search(rest):
            is_doubled = len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz"
            return rest[:-1] if is_doubled else rest
    if word.endswith(("tion", "sion")) and len(word) > 5:
        return word[:-3]
    return word[:-2] if word.endswith(("tor", "ly")) and len(word) > 5 else word


def near(stemmed: str) -> frozenset[str]:
    """The stems of words that may be used instead of one. stemmed: as from `stem`."""
    return _near().get(stemmed, frozenset())


@functools.cache
def _near() -> dict[str, frozenset[str]]:
    groups = [frozenset(map(stem, line.split())) for line in _GROUPS.strip().splitlines()]
    words = frozenset().union(*groups)
    return {word: frozenset(_others(word, groups)) for word in words}


def _others(word: str, groups: list[frozenset[str]]) -> Iterator[str]:
    for group in groups:
        if word in group:
            yield from group - {word}


_GROUPS = """
weather rain raining snow sunny cloudy windy hot cold warm storm umbrella forecast temperature
degree celsius fahrenheit temperature
flight fly plane airplane airline
film movie cinema
song music track tune
photo picture image snapshot
buy purchase order
bill invoice
customer client
house home apartment flat property
hotel accommodation room stay
restaurant eat food dish meal
doctor physician
medicine drug pill medication
illness disease sick diagnosis
lawyer attorney
car vehicle auto
bike bicycle cycling
train rail railway
route direction way road
trip travel journey tour
ticket seat
mail email inbox message
phone call dial ring
meeting appointment schedule calendar diary event
remember remind reminder note
job position vacancy
employee staff colleague worker
boss manager
holiday vacation leave
salary wage pay payroll earn
price cost expensive cheap worth
money cash payment currency
currency euro dollar yen
share stock
tax vat
average mean
chance probability odds
divisor divisible divide
calculate compute determine solve
convert exchange change
distance far
height high tall
speed fast quick velocity
weight heavy weigh mass
length long
area surface
time clock hour
begin start
end finish stop
error bug exception
folder directory
file document
code program script
website site web internet online
server host
password secret
deploy release publish
test check verify
repair fix
create add new make open
write create compose
list show all which
update change edit modify set
delete remove erase drop cancel
search find look
summary summarize gist shorten
translate say
word term vocabulary
book novel read
news headline
game match
win won result score
player athlete
team club
kid child children baby
pet animal dog cat
plant flower tree
country nation state
city town
king queen monarch
population people inhabitants
lamp light
power energy electricity
shop store
parcel package delivery
"""
