"""Data that would leave by a URL: to a host that no user has named.

A URL that stands as it is in an earlier text carries nothing that its author does not know. One that the model has put
together may carry what it has read.
"""

from collections.abc import Sequence
from itertools import islice

from agentkit.taint.folding import decoded, folded, forms, unescaped
from agentkit.taint.index import Index
from agentkit.taint.names import MAX_CHUNK, MAX_SENT, Name, domain_of, whole_urls
from agentkit.taint.shingles import row_hashes, words_of

RUN = 16
"""Letters and digits in a row that are data, and no coincidence."""
TOKEN_CHARACTERS = 10
"""How many of them have to stand in words with digits, as those of keys and numbers do."""
SHORT = 8
FEW = 32
"""Characters of a URL beside its host and what is sent there: the scheme, the port, `www.`."""
MIN_NAME = 5
"""Letters of a word of the user's that may name a site ("GitHub"); of one that is shorter, its host has to be named."""
MAX_FOUND = 2_000
"""Places at which a row is looked at; a URL with more is taken for one that carries data."""
MAX_URLS = 32
"""URLs of one text that are looked at closely; a text with more is taken for one that carries data."""


def put_together(text: str, outside: Index, given: Index, last: str, *, reads_only: bool, hosts: bool = False) -> bool:
    """Whether a text has a URL that the model has put together so that it may carry data to a host that no user has
    named. last: what the user has said last. reads_only: a URL of the texts from outside may be used as it is.
    hosts: a host alone is a URL too."""
    doubtful = 0
    for url, sent in whole_urls(text, hosts=hosts):
        answer = _is_plain(url, sent, outside, given, reads_only=reads_only)
        doubtful += answer is None
        if answer is False or doubtful > MAX_URLS or (answer is None and _carries(url, sent, outside, given, last)):
            return True
    return False


def leaves_beside(texts: Sequence[str], outside: Index, given: Index, last: str) -> bool:
    """Whether one text of several is a URL or a host that no user has named, and another one has data for it."""
    hosts = [at for at, text in enumerate(texts) if _is_unnamed(text, given)]
    others = texts if len(hosts) > 1 else [text for at, text in enumerate(texts) if at not in hosts]
    return bool(hosts) and _has_data(" ".join(others), outside, given, last)


def _is_unnamed(text: str, given: Index) -> bool:
    return any(not given.has("host", url.host) for url, _ in islice(whole_urls(text, hosts=True), 1))


def _is_plain(url: Name, sent: str, outside: Index, given: Index, *, reads_only: bool) -> bool | None:
    """Whether a URL tells its host nothing new; None where that is to be looked at."""
    if given.has("host", url.host):
        return True
    is_whole = len(sent) + len(url.host) + FEW <= MAX_CHUNK  # a longer one is compared by its beginning
    if given.has("url", url.value) and (is_whole or given.contains(sent)):
        return True
    if reads_only and outside.has("part", url.value) and (is_whole or outside.contains(sent)):
        return True
    return False if is_from_outside(url.host, outside, given) else None


def _carries(url: Name, sent: str, outside: Index, given: Index, last: str) -> bool:
    """Whether a URL has data whose host stands in no text as it is."""
    prefix = url.host.removesuffix(domain_of(url.host)).strip(".")
    if not prefix and not sent.strip("/"):
        return False
    if outside.spells(url.host) and not given.spells(url.host):
        return True
    return not _is_named_in_words(url.host, given) and _has_data(f"{prefix} {sent}", outside, given, last)


def is_from_outside(host: str, outside: Index, given: Index) -> bool:
    """Whether a host, or one of the same owner, stands in the texts from outside, and in none of a user's."""
    domain = domain_of(host)
    return outside.has("domain", domain) and not given.has("host", host)


def _is_named_in_words(host: str, given: Index) -> bool:
    """Whether a user has named the owner of a host ("GitHub")."""
    label = domain_of(host).partition(".")[0]
    name = f" {' '.join(words_of(label))} "
    return len(label) >= MIN_NAME and any(name in text for text in given.spaced())


def _has_data(sent: str, outside: Index, given: Index, last: str) -> bool:
    if len(sent) > MAX_SENT:
        return True
    plain = words_of(folded(unescaped(sent)))
    rows = row_hashes(plain) - row_hashes(words_of(folded(last)))
    if any(outside.has_row(row) or given.has_row(row) for row in rows):
        return True
    texts = [text.replace(" ", "") for index in (outside, given) for text in index.spaced()]
    if any(_shares(plain, text, is_encoded=False) for text in texts):
        return True
    hidden = [words_of(folded(form)) for piece in decoded(unescaped(sent)) for form in forms(piece)]
    return any(_shares(words, text, is_encoded=True) for words in hidden for text in texts)


def _shares(words: list[str], text: str, *, is_encoded: bool) -> bool:
    """Whether 16 letters and digits in a row of the words stand in a text that has nothing else. Where they were not
    encoded: as keys and numbers do, and not as words do."""
    sent = "".join(words)
    if len(sent) < RUN:
        return False
    is_token = [is_encoded or any(map(str.isdigit, word)) for word in words for _ in word]
    places: dict[str, list[int]] = {}
    for place in range(len(sent) - SHORT + 1):
        places.setdefault(sent[place : place + SHORT], []).append(place)
    found = 0
    for at in range(0, len(text) - SHORT + 1, SHORT):  # a row of 16 has one of these eights in it
        for place in places.get(text[at : at + SHORT], ()):
            found += 1
            start, end = _row(sent, place, text, at)
            if found > MAX_FOUND or (end - start >= RUN and sum(is_token[start:end]) >= TOKEN_CHARACTERS):
                return True
    return False


def _row(sent: str, place: int, text: str, at: int) -> tuple[int, int]:
    """Where the row in `sent` begins and ends that stands in the text too, up to 64 characters on each side."""
    start, end = place, place + SHORT
    shift = at - place
    while start > max(0, place - 64, -shift) and sent[start - 1] == text[start - 1 + shift]:
        start -= 1
    while end < min(len(sent), place + 64, len(text) - shift) and sent[end] == text[end + shift]:
        end += 1
    return start, end
