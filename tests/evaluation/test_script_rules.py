"""The rules of SQuAD's and CMRC's scripts, against values worked out by hand from the published rules. That a second
way to write each down gives the same shows that ours does what it says, not that it says what the scripts do."""

import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ConfigurationError
from agentkit.evaluation.checks import parse_check
from agentkit.evaluation.script_rules import longest_run
from tests.evaluation.records import answered
from tests.support.growth import assert_linear

SETS = Path(__file__).parents[2] / "examples/eval"


def f1(rule: str, said: str, right: str) -> float:
    return parse_check({"check": "f1", "rule": rule}).score(answered(said), right).value


def is_equal(rule: str, said: str, right: str) -> bool:
    return parse_check({"check": "exact", "rule": rule}).score(answered(said), right).passed


@pytest.mark.parametrize(
    ("said", "right", "value"),
    [
        ("the Denver Broncos.", "Denver Broncos", 1),
        ("Broncos", "Denver Broncos", 2 / 3),
        ("‘often damaging’", "often damaging", 0),
        ("1914–1918", "1914 1918", 0),
        ("well-known", "well known", 0),
        ("3.14", "314", 1),
        ("明长城的总长度为8851.8公里。", "总长度为8851.8公里", 0),
        ("a an the", "the", 0),
    ],
)
def test_the_rule_of_squad_is_that_of_its_script_flaws_and_all(said: str, right: str, value: float) -> None:
    assert f1("squad", said, right) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("said", "right", "value"),
    [
        ("踢爆", "踢爆", 1),
        ("即为踢爆", "踢爆", 4 / 6),
        ("10次WTA", "10次", 4 / 5),
        ("总长度8851.8公里", "8851.8公里。", 6 / 9),
        ("甲乙和丙丁", "甲乙丙丁", 4 / 9),
        ("丙丁甲乙", "甲乙丙丁", 4 / 8),
        ("《甲乙》，丙", "甲乙丙", 1),
        ("Denver Broncos", "Broncos Denver", 2 / 4),
        ("无", "有", 0),
    ],
)
def test_the_rule_of_cmrc_counts_the_longest_run(said: str, right: str, value: float) -> None:
    assert f1("cmrc", said, right) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("said", "right", "value"),
    [
        # 他 在 1998 年 获 得 wta 冠 军 | 1998 年 wta 冠 军: "wta 冠 军", 3 of 9 and of 5
        ("他在1998年获得WTA冠军。", "1998年WTA冠军", 6 / 14),
        # 红 楼 梦 是 曹 雪 芹 写 的 | 曹 雪 芹: all 3 of 9 and of 3
        ("《红楼梦》是曹雪芹写的。", "曹雪芹", 6 / 12),
        # 约 3.14 米 | 3.14
        ("约3.14米", "3.14", 2 / 4),
        # 1,000 人 | 1000 人: a comma inside of a number stays
        ("1,000人", "1000人", 2 / 4),
        # iphone 4s 手 机 | iphone 4s
        ("iPhone 4S手机", "iphone 4s", 4 / 6),
        # new york | newyork: a hyphen is left out, and parts nothing
        ("New York", "new-york", 0),
        # 10 % | 百 分 之 10
        ("10%", "百分之10", 2 / 6),
        # 不 知 道 | 知 道 的 不 多: order counts
        ("不知道", "知道的不多", 4 / 8),
        # 1914 年 至 1918 年 | 1914 年 － 1918 年, whose dash is left out: "1918 年"
        ("1914年至1918年", "1914年－1918年", 4 / 9),
    ],
)
def test_the_rule_of_cmrc_has_the_values_worked_out_by_hand_from_what_is_published(
    said: str, right: str, value: float
) -> None:
    """Cui and others 2019, and the script of the data set: lower case, marks of its list left out, each character of
    U+4E00 to U+9FA5 a word, between them the words of NLTK; then the longest run, F1 of its shares."""
    assert f1("cmrc", said, right) == pytest.approx(value, abs=1e-6)


def test_whether_answers_are_equal_follows_the_rule_too() -> None:
    assert is_equal("cmrc", "《红楼梦》。", "红楼梦")
    assert not is_equal("cmrc", "红楼 梦", "红楼梦")
    assert is_equal("squad", "The U.S.", "us")
    assert not is_equal("squad", "«Москва»", "москва")
    assert is_equal("words", "«Москва»", "москва")
    with pytest.raises(ConfigurationError, match="rule is one of words, squad, cmrc"):
        parse_check({"check": "f1", "rule": "rouge"})


def squad_by_characters(text: str) -> list[str]:
    kept = "".join(each for each in text.lower() if each not in string.punctuation)
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def squad_by_hand(said: str, right: str) -> float:
    one, other = squad_by_characters(said), squad_by_characters(right)
    common = 0
    for word in one:
        if word in other:
            other.remove(word)
            common += 1
    wanted = squad_by_characters(right)
    return (
        0.0
        if not common
        else 2 * (common / len(one)) * (common / len(wanted)) / (common / len(one) + common / len(wanted))
    )


def cmrc_by_characters(text: str) -> list[str]:
    words: list[str] = []
    inside = False
    kept = text.lower().strip()
    for each, following in zip(kept, [*kept[1:], " "], strict=True):
        if each in "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』":
            continue
        is_chinese = "\u4e00" <= each <= "\u9fa5"
        if is_chinese or each.isspace():
            words += [each] if is_chinese else []
            inside = False
        elif inside and (each.isalnum() or (each in ".,'" and following.isalnum())):
            words[-1] += each
        else:
            words.append(each)
            inside = each.isalnum()
    return words


def cmrc_by_table(said: str, right: str) -> float:
    one, other = cmrc_by_characters(said), cmrc_by_characters(right)
    best, row = 0, [0] * (len(other) + 1)
    for word in one:
        row = [0, *(before + 1 if word == each else 0 for before, each in zip(row, other, strict=False))]
        best = max(best, *row)
    return 0.0 if not best else 2 * (best / len(one)) * (best / len(other)) / (best / len(one) + best / len(other))


def corrupted(language: str) -> Iterator[tuple[str, str]]:
    """What a model might say for each question of XQuAD in a language, and of CMRC, with the right answer."""
    lines = (SETS / "xquad/questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for line in lines if (row := json.loads(line))["language"] == language]
    if language == "zh":
        rows += map(json.loads, (SETS / "cmrc/questions.jsonl").read_text(encoding="utf-8").splitlines())
    rights = [row["answer"] if isinstance(row["answer"], str) else row["answer"][0] for row in rows]
    rng, between = random.Random(4), "" if language == "zh" else " "
    for place, right in enumerate(rights):
        parts = list(right) if language == "zh" else right.split()
        some = parts[rng.randrange(len(parts)) :]
        shuffled = rng.sample(parts, len(parts))
        other = rights[(place + 1) % len(rights)]
        for said in (
            right,
            between.join(some),
            between.join(shuffled),
            f"“{right}” – the {other}.",
            f"{other}，{right}",
        ):
            yield said, right


def test_all_answers_of_xquad_have_the_same_value_where_squads_rule_is_written_another_way() -> None:
    values = [(f1("squad", said, right), squad_by_hand(said, right)) for said, right in corrupted("en")]
    assert len(values) == 500
    assert [one for one, other in values if one != pytest.approx(other, abs=1e-6)] == []


def test_chinese_answers_have_the_same_values_where_cmrcs_rule_is_written_another_way() -> None:
    values = [(f1("cmrc", said, right), cmrc_by_table(said, right)) for said, right in corrupted("zh")]
    assert len(values) == 1000
    assert max(abs(one - other) for one, other in values) <= 0.01
    means = [sum(each) / len(values) for each in zip(*values, strict=True)]
    assert abs(means[0] - means[1]) <= 0.001


def test_the_longest_run_is_found_however_long_the_texts_are() -> None:
    rng: Any = random.Random(3)
    for _ in range(200):
        one, other = (["ab"[rng.random() < 0.5] for _ in range(rng.randrange(12))] for _ in range(2))
        texts = ["".join(one), "".join(other)]
        runs = [texts[0][i:j] for i in range(len(one)) for j in range(i + 1, len(one) + 1)]
        assert longest_run(one, other) == max((len(each) for each in runs if each in texts[1]), default=0)
    assert_linear(lambda size: longest_run(list("ab" * size), list("ba" * size)), 4_000)
