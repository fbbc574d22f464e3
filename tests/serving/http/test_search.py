"""Search in the conversations of a caller, over HTTP, and how words are found in texts."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.serving.http.page import search as searching
from agentkit.serving.http.page.folding import folded, snippet_of, words_of
from agentkit.serving.http.page.search import Reading
from tests.support.growth import assert_linear
from tests.support.http_service import LOOK_UP, Service, reply, talk
from tests.support.scripted_agent import agent, somebody


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    with agent(folder, reply, agentkit_tools=(LOOK_UP,)) as (running, _):
        yield somebody(running, folder)


def search(service: Service, query: str) -> Any:
    response = service.ask("POST", "/api/llm/chat/sessions/search", {"query": query})
    assert response.status_code == 200, response.text
    return response.json()


def found(service: Service, query: str) -> list[str]:
    return [each["session_id"] for each in search(service, query)["sessions"]]


def marked(each: Any) -> list[str]:
    return [each["snippet"][begin:end] for begin, end in each["matches"]]


def fill(service: Service, session: str, *texts: str, name: str = "N") -> None:
    """Store questions and answers, without asking a model."""
    talk(service, session, name)
    messages = [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]
    _stored(service, session).append(messages)


def _stored(service: Service, session: str) -> Any:
    subject = service.ask("GET", "/api/llm/usage").json()["subject"]
    return service.app.state.service.conversations.session(subject, session)


def test_words_are_found_in_questions_answers_and_names_newest_first(service: Service) -> None:
    """danny-avila/LibreChat#15483: conversations that matched only by their messages were not among the results."""
    fill(service, "a", "Where is Kiel?", "Kiel lies at the Baltic Sea.")
    fill(service, "b", "Tell me more", "The sea at Sylt is rough.")
    service.ask("POST", "/api/llm/chat/session/rename", {"session_id": "b", "name": "Baltic trips"})
    assert found(service, "sea") == ["b", "a"]
    assert found(service, "baltic SEA") == ["b", "a"]  # a name and a text together have all words
    assert found(service, "baltic kiel sylt") == []
    by_answer, by_name = search(service, "lies kiel")["sessions"][0], search(service, "trips")["sessions"][0]
    assert by_answer["snippet"] == "Kiel lies at the Baltic Sea."
    assert (by_answer["matches"], by_answer["begins"], by_answer["name"]) == ([[0, 4], [5, 9]], 3, "N")
    assert (by_name["snippet"], by_name["matches"], by_name["begins"]) == ("", [], None)
    assert search(service, "kiel")["complete"]


def test_chinese_is_found_by_any_part_in_full_and_half_width(service: Service) -> None:
    """stoatchat/for-legacy-web#952: a word of a language without spaces was found only as the whole sentence."""
    fill(service, "a", "明天去北京的天气怎么样？", "北京明天晴，气温８～９℃，适合出门。")
    fill(service, "b", "病院は機能していない", "ｶﾞｲﾄﾞ")
    (hit,) = search(service, "天气　北京")["sessions"]  # with an ideographic space between
    assert (hit["session_id"], marked(hit), hit["snippet"]) == ("a", ["北京", "天气"], "明天去北京的天气怎么样？")
    assert found(service, "8~9") == found(service, "８～９") == ["a"]
    assert found(service, "病院") == ["b"]
    (hit,) = search(service, "ガイド")["sessions"]
    assert marked(hit) == ["ｶﾞｲﾄﾞ"]
    assert found(service, "北京 病院") == []


def test_signs_of_query_languages_are_signs_like_others(service: Service) -> None:
    """rr-/szurubooru#98, zotero/zotero#1787: an underscore stood for any character."""
    fill(service, "a", "the variable max_size is 50%", "")
    fill(service, "b", "the variable maxysize is 50 of (all", "")
    assert found(service, "max_size") == ["a"]
    assert found(service, "50%") == ["a"]
    assert found(service, "_") == ["a"]
    assert found(service, "(all") == ["b"]
    for query in (".*", "%", '"the', "the' OR 1=1", "\\", "NEAR(the", "a\x00b"):
        assert found(service, query) == (["a"] if query == "%" else [])


def test_what_is_not_shown_is_not_found(service: Service) -> None:
    talk(service, "a", "look up tides")
    assert found(service, "tides") == ["a"]
    _stored(service, "a").append(
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,cXVvdGVk"}},
                ],
            },
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"topic": "hidden"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "concealed"},
            {"role": "assistant", "content": "That is all."},
        ]
    )
    with _stored(service, "a").hold() as writer:
        writer.append([{"role": "user", "content": "withdrawn"}])
        writer.undo(1)
    for query in ("hidden", "concealed", "withdrawn", "look_up", "You are a helpful", "cXVvdGVk", "image_url"):
        assert found(service, query) == []
    assert search(service, "that")["sessions"][0]["begins"] == 5


def test_a_text_that_only_another_branch_has_is_found_there_and_once(service: Service) -> None:
    """open-webui/open-webui#30307: what had been said on another branch of a chat could not be found."""
    talk(service, "a", "one")
    talk(service, "a", "heron")
    service.ask("POST", "/api/llm/chat/session/branch", {"session_id": "a", "begins": 2, "new_session_id": "b"})
    talk(service, "b", "stork")
    assert (found(service, "heron"), found(service, "stork"), found(service, "one")) == (["a"], ["b"], ["b"])
    assert found(service, "heron stork") == []


def test_a_caller_finds_only_what_is_theirs_and_what_still_exists(service: Service, folder: Path) -> None:
    other = somebody(service, folder)
    fill(service, "a", "the crown jewels", "")
    assert (found(other, "jewels"), found(service, "jewels")) == ([], ["a"])
    service.ask("DELETE", "/api/llm/chat/session/a")
    assert found(service, "jewels") == []


@pytest.mark.parametrize("query", ["", "  \t", "x" * 301, None, 7])
def test_a_query_has_words_and_an_end(service: Service, query: Any) -> None:
    response = service.ask("POST", "/api/llm/chat/sessions/search", {"query": query})
    assert response.status_code in (400, 422)
    assert "query" in response.json()["detail"]


def test_a_search_reads_no_more_than_it_may_and_says_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """open-webui/open-webui#9167: very large chats of one user slowed the service down for all."""
    fill(service, "old", "a needle", "")
    fill(service, "large", "needle at the begin", *["x" * 20_000] * 200, "needlepoint")
    fill(service, "new", "a needle too", "")
    monkeypatch.setattr(searching, "MAX_OF_ONE", 500_000)
    result = search(service, "needle")
    assert [each["session_id"] for each in result["sessions"]] == ["new", "large", "old"]
    assert not result["complete"]
    assert found(service, "needlepoint") == []
    monkeypatch.setattr(searching, "Reading", _reading(100))
    assert search(service, "needle") == {"sessions": search(service, "needle")["sessions"][:1], "complete": False}
    monkeypatch.setattr(searching, "Reading", _reading(0))
    assert search(service, "needle") == {"sessions": [], "complete": False}


def _reading(left: int) -> Any:
    return lambda: Reading(left=left)


def test_a_search_finds_a_limited_number(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for session in ("a", "b", "c"):
        fill(service, session, "needle", "")
    monkeypatch.setattr(searching, "MAX_FOUND", 2)
    assert [each["session_id"] for each in search(service, "needle")["sessions"]] == ["c", "b"]
    assert not search(service, "needle")["complete"]
    monkeypatch.setattr(searching, "MAX_FOUND", 3)
    assert search(service, "needle")["complete"]


def test_searches_that_wait_for_others_leave_threads_to_other_requests(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(service, "a", "one")
    going_on = threading.Event()
    searched = searching._searched

    def slow(*given: Any) -> Any:
        assert going_on.wait(20)
        return searched(*given)

    monkeypatch.setattr(searching, "_searched", slow)
    threads = [threading.Thread(target=search, args=(service, "one")) for _ in range(45)]
    for thread in threads:
        thread.start()
    assert talk(service, "b", "two")["response"] == "You are a: two"
    going_on.set()
    for thread in threads:
        thread.join()


def test_an_entry_that_is_damaged_hides_nothing_else(service: Service) -> None:
    fill(service, "a", "a swallow", "")
    sessions, key = service.app.state.service.conversations.service.sessions, _stored(service, "a").id
    with sessions._lock(key, 1.0) as lock:
        sessions._append(key, ['{"v": 1, "message": 7}', '{"v": 9, "message": {}}'], {}, lock)
    fill(service, "b", "a swallow too", "")
    result = search(service, "swallow")
    assert [each["session_id"] for each in result["sessions"]] == ["b"]
    assert not result["complete"]  # the last entry is of a version that is not known


@pytest.mark.parametrize(
    ("text", "query", "places"),
    [
        ("İstanbul hava durumu", "hava", ["hava"]),  # h4ckf0r0day/obscura#1015: moved by what folding makes longer
        ("İstanbul hava durumu", "İSTANBUL", ["İstanbul"]),
        ("Die STRASSE und die Straße", "straße", ["STRASSE", "Straße"]),
        ("ein Fluß", "ss", ["ß"]),
        ("oﬃce", "fi", ["ﬃ"]),
        ("𝄞𝄞 two notes 📧 contributor", "contributor", ["contributor"]),
        ("cafe\u0301 und café", "CAFÉ", ["cafe\u0301", "café"]),
        ("cafe\u0301", "cafe", []),
        ("한국어 문서", "한국", ["한국"]),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국", ["\u1112\u1161\u11ab\u1100\u116e\u11a8"]),
        ("ΟΔΟΣ οδος", "οδός"[:2], ["ΟΔ", "οδ"]),
        ("ＡＢＣ abc", "abc", ["ＡＢＣ", "abc"]),
        ("banana", "ana nan", ["anan"]),
        ("a\nb\tc", "b c", ["b", "c"]),
        ("\u0301abc", "abc", ["abc"]),
        ("ß" * 300 + "x", "x", ["x"]),
        ("ﷺ" * 900 + " x", "x", ["x"]),
    ],
)
def test_the_places_of_words_count_in_characters_of_the_text(text: str, query: str, places: list[str]) -> None:
    snippet, matches = snippet_of(text, words_of(query))
    assert [snippet[begin:end] for begin, end in matches] == places
    assert "\n" not in snippet


def test_a_snippet_stands_around_the_first_word() -> None:
    text = "前" * 5000 + "针" + "后" * 5000
    snippet, ((begin, end),) = snippet_of(text, ["针"])
    assert snippet[begin:end] == "针"
    assert (snippet[0], snippet[-1], begin) == ("…", "…", 61)
    assert 200 < len(snippet) < 260


words = st.text(st.sampled_from("abßİﬃéE\u0301\u0323ｶﾞ한ᄀㅏ가 \n1½ﷺΣς中，"), min_size=0, max_size=40)


@given(words, words)
def test_whatever_is_found_is_marked_with_what_it_is(text: str, query: str) -> None:
    wanted = words_of(query)
    if not wanted:
        return
    snippet, matches = snippet_of(text, wanted)
    assert bool(snippet) == any(word in folded(text) for word in wanted)
    ends = [begin for begin, _ in matches[1:]] + [len(snippet)]
    for (begin, end), following in zip(matches, ends, strict=False):
        assert 0 <= begin < end <= following
        assert any(word in folded(snippet[begin:end]) for word in wanted)


@pytest.mark.parametrize("unit", ["a", "中", "ﷺ", "\u0301", "ㅋ", "ab ", "İ"])
def test_texts_are_searched_in_linear_time(unit: str) -> None:
    hostile = [folded(unit) * 40 + "x", "a" * 90 + "b"]
    assert_linear(lambda size: snippet_of(unit * size + "x", [*hostile, "x"]), 20_000)
