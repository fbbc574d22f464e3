"""Questions that share a passage are no independent cases: intervals and comparisons are of the clusters
(UKGovernmentBEIS/inspect_ai#1251, EvolvingLMMs-Lab/lmms-eval#989)."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent
from agentkit.errors import ConfigurationError
from agentkit.evaluation import evaluate, rescored, statistics, table
from agentkit.evaluation.clusters import clusters_of, count_of, difference_in, interval_of, signs_in
from agentkit.evaluation.comparison import comparisons
from agentkit.evaluation.pairs import Verdict, Verdicts
from agentkit.evaluation.preferences import preferences
from agentkit.evaluation.report import as_json
from agentkit.evaluation.results import configuration
from agentkit.evaluation.statistics import difference_of, interval_of_items, permutation_test, wilson
from tests.evaluation.made import outcome
from tests.support.model_server import serve, whole


def drawn(chance: random.Random, clusters: int, most: int, share: float, alike: float) -> tuple[dict[str, float], Any]:
    """Right and wrong answers. alike: the correlation of those of one cluster."""
    values: dict[str, float] = {}
    of: dict[str, str] = {}
    for cluster in range(clusters):
        (its_share,) = shares_drawn(chance, 1, share, alike)
        for place in range(chance.randint(1, most)):
            values[f"{cluster}-{place}"] = float(chance.random() < its_share)
            of[f"{cluster}-{place}"] = str(cluster)
    return values, of


def shares_drawn(chance: random.Random, clusters: int, share: float, alike: float) -> list[float]:
    """How many answers of each cluster are right, of which those of one cluster are correlated by `alike`."""
    first, second = (each * (1 - alike) / alike for each in (share, 1 - share))
    return [chance.betavariate(first, second) for _ in range(clusters)]


def test_the_interval_holds_the_mean_where_that_of_single_questions_does_not() -> None:
    chance = random.Random(7)
    of_clusters = alone = 0
    for _ in range(300):
        values, clusters = drawn(chance, 30, 9, 0.7, 0.5)
        found, single = interval_of(values, clusters), interval_of_items(list(values.values()))
        of_clusters += found.low <= 0.7 <= found.high
        alone += single.low <= 0.7 <= single.high
    assert of_clusters >= 0.92 * 300
    assert alone <= 0.75 * 300


UNEVEN = {"one is large": [40, *[3] * 19], "two are large": [1] * 18 + [10, 10]}


@pytest.mark.parametrize("sizes", UNEVEN.values(), ids=UNEVEN)
def test_the_interval_of_a_difference_holds_it_whatever_the_sizes_of_the_clusters(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two models of which the second is worse by 10 points, which is what "not worse by more than" is judged by."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    chance = random.Random(11)
    clusters = {f"{cluster}-{place}": str(cluster) for cluster, size in enumerate(sizes) for place in range(size)}
    held = above = 0
    for _ in range(120):
        first, second = (shares_drawn(chance, len(sizes), share, 0.4) for share in (0.7, 0.6))
        one, two = (
            {item: float(chance.random() < of[int(clusters[item])]) for item in clusters} for of in (first, second)
        )
        found = difference_in(one, two, clusters)
        held += found.low <= -0.1 <= found.high
        above += found.low > -0.1
    assert held >= 0.9 * 120
    assert above <= 0.07 * 120


def test_where_one_cluster_has_nearly_all_questions_a_difference_is_as_unsure_as_it_can_be() -> None:
    values = {f"{cluster}-{place}": float(cluster) for cluster, size in enumerate((30, 1, 1)) for place in range(size)}
    clusters = {item: item.partition("-")[0] for item in values}
    found = difference_in(dict.fromkeys(values, 0.5), {item: each / 2 for item, each in values.items()}, clusters)
    assert found.low <= -0.9
    assert found.high >= 0.0


def test_no_difference_is_shown_by_chance_more_often_than_one_time_in_twenty() -> None:
    """Of two models as good as each other, each of which reads whole passages rightly or not."""
    chance = random.Random(3)
    shown = alone = 0
    for _ in range(300):
        better = [chance.choice((-1.0, 1.0)) for _ in range(12)]
        changes = {f"{place}-{number}": each for place, each in enumerate(better) for number in range(5)}
        shown += signs_in(changes, {item: item.partition("-")[0] for item in changes}) < 0.05
        alone += permutation_test(list(changes.values())) < 0.05
    assert shown <= 0.08 * 300
    assert alone >= 0.15 * 300


@pytest.mark.parametrize("values", [[1.0, 0.0, 1.0, 1.0, 0.0], [0.5, 0.25, 1.0, 0.0, 0.75]])
def test_questions_of_their_own_count_as_without_clusters(values: list[float]) -> None:
    items = {f"q{place}": value for place, value in enumerate(values)}
    others = dict(zip(items, [0.0, 0.0, 1.0, 0.5, 1.0], strict=True))
    for clusters in ({}, {item: item for item in items}, {"q0": "x"}):
        assert count_of(items, clusters) == 0
        assert interval_of(items, clusters) == interval_of_items(values)
        assert difference_in(items, others, clusters) == difference_of(values, list(others.values()))


def test_alike_clusters_count_as_one_question_each() -> None:
    """Five passages, of each of which all six questions are answered alike, say as much as five questions."""
    values = {f"{cluster}-{place}": float(cluster < 3) for cluster in range(5) for place in range(6)}
    clusters = {item: item[0] for item in values}
    found = interval_of(values, clusters)
    low, high = wilson(3, 5)
    assert found.value == 0.6
    assert found.low <= low
    assert high <= found.high
    none = dict.fromkeys(values, 0.0)
    assert difference_in(none, values, clusters).p == pytest.approx(0.25)
    assert difference_in(none, values, {}).p < 0.001
    assert signs_in({item: value - 0.5 for item, value in values.items()}, clusters) == 1.0


def test_it_is_never_narrower_than_without_clusters() -> None:
    """Clusters that are more alike than chance would have them, half right each, show nothing more."""
    values = {f"{cluster}-{place}": float(place % 2) for cluster in range(40) for place in range(4)}
    found = interval_of(values, {item: item.partition("-")[0] for item in values})
    single = interval_of_items(list(values.values()))
    assert found.low <= single.low < single.high <= found.high


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_of_one_cluster_nothing_is_known(right: float) -> None:
    values = dict.fromkeys(("a", "b", "c", "d"), right)
    found = interval_of(values, dict.fromkeys(values, "x"))
    assert 0.0 <= found.low <= right <= found.high <= 1.0
    assert found.high - found.low > 0.9


def test_a_value_of_any_kind_names_a_cluster_and_an_empty_one_none() -> None:
    columns: list[tuple[str, dict[str, Any]]] = [
        ("a", {"page": 1}),
        ("b", {"page": "1"}),
        ("c", {"page": ["x"]}),
        ("d", {"page": ""}),
        ("e", {}),
    ]
    found = clusters_of(columns, "page")
    assert set(found) == {"a", "b", "c"}
    assert found["a"] != found["b"]
    assert clusters_of(columns, None) == {}


def test_repeats_missing_answers_and_groups_keep_their_clusters() -> None:
    outcomes = [
        outcome(f"q{number}", number % 8 < 5, repeat=repeat, columns={"page": number // 8, "kind": number % 2})
        for number in range(80)
        for repeat in (1, 2)
    ]
    one = configuration("A", "", outcomes, "kind", 0, "complete", "", "page")
    assert one.summaries["contains"].clusters == 10
    assert one.summaries["contains"].is_few
    assert one.groups["0"]["contains"].summary.clusters == 10
    two = configuration("B", "", [outcome(f"q{number}", number < 32) for number in range(80)], None, 0, "complete", "")
    (found,) = comparisons([one, two], 0)
    assert found.checks[0].difference.clusters == 10
    assert "80 questions in 10 clusters can show" in found.checks[0].verdict


def test_what_a_judge_prefers_is_of_the_clusters_too() -> None:
    said = Verdicts([Verdict(f"q{number}", 1, float(number < 12), "") for number in range(16)])
    alone = preferences(said, 0)
    found = preferences(said, 0, {f"q{number}": str(number // 4) for number in range(16)})
    assert alone.p == pytest.approx(0.0768, abs=1e-3)
    assert found.p == pytest.approx(0.625)
    assert found.low < alone.low


LINES = [
    {"id": f"q{number}", "question": f"{number}?", "answer": str(number), "page": f"p{number // 3}"}
    for number in range(6)
]


def test_an_evaluation_says_how_many_clusters_there_are(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    with serve([whole("0 1 2 3 4 5")]) as server:
        agent = Agent(f"openai:tiny@{server.url}")
        found = evaluate(agent, LINES, checks=["contains"], cluster="page", out=out)
    text = table(found)
    assert "only 2 clusters" in text
    assert "the questions are in 2 clusters by page: the intervals are of clusters" in text
    made = json.loads(json.dumps(as_json(found)))
    assert made["cluster"] == "page"
    assert made["configurations"][0]["checks"]["contains"]["clusters"] == 2
    low = found.first.summaries["contains"].low
    assert rescored(out, checks=["contains"], cluster="page").first.summaries["contains"].low == low
    assert rescored(out, checks=["contains"]).first.summaries["contains"].low > low
    other = rescored(out, checks=["contains"], cluster="question")
    assert "no two questions have the same question: they count as independent" in table(other)


def test_a_column_that_the_set_has_not_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ConfigurationError, match=r"clusters by 'pag': the set has no such column; it has .*page"):
        evaluate(Agent("openai:tiny@http://127.0.0.1:9/v1"), LINES, checks=["contains"], cluster="pag")
