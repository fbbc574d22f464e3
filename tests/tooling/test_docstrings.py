"""Docstrings as people write them: each describes its parameters, whatever its style, and nothing of it is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import tool
from agentkit.tooling.docstrings import read_docstring
from tests.support.growth import assert_linear

STYLES = [
    "Look.\n\nArgs:\n    city: The city.\n    days: How many\n        days.",
    "Look.\nArgs:\n    city: The city.\n    days: How many days.\nReturns:\n    str: x",
    "Args:\n    city: The city.\n    days: How many days.",
    "Look.\n\nArgs:\n    - city: The city.\n    - days: How many days.\n\nMore.",
    "Look.\n\nArgs:\n    city (str) : The city.\n    days (int, optional) : How many days.",
    "Look.\n\nArgs:\n    `city`: The city.\n    `days` (int): How many days.",
    "Look.\n\nArguments:\n    city: The city.\n    days: How many days.",
    "Look.\n\nParameters:\n    city: The city.\n    days: How many days.",
    "Look.\n\nParams:\n    city: The city.\n    days: How many days.",
    "Look.\n\nParameters\n----------\ncity\n    The city.\ndays\n    How many days.\n\nReturns\n-------\nstr\n    x",
    "Look.\n\nParameters\n----------\ncity: str\n    The city.\n"
    "days : int, default 3\n    How many days.\nReturns\n-------\nstr\n    x",
    "Look.\n\n:param str city: The city.\n:param days: How many\n    days.\n:type days: int\n:return: x\n:rtype: str",
    "Look.\n:param city: The city.\n:param int days: How many days.",
    "Look.\n\n@param city: The city.\n@param days: How many days.\n@type days: int\n@return: x",
    "Look.\n\n@param {string} city - The city.\n@param {number} days How many days.\n@returns {string} x",
    "Look.\n\n**Parameters:**\n\n- **city** (str): The city.\n- **days** (int): How many days.",
    "Look.\n\n### Parameters\n* `city`: The city.\n* `days`: How many days.",
    "Look.\n\nArgs:\n\tcity: The city.\n\tdays: How many days.",
    "Look.\n\nArgs:\n    city: The city.\n  days: How many days.",
    "Look.\n\nArgs:\n  city: The city.\n      days: How many days.",
    "Look.\n\nArgs:\n    city：The city.\n    days：How many days.",
    "查询。\n\n参数：\n    city（str）：The city.\n    days（int）：How many days.\n返回：\n    x",
    "Look.\n\nArgs:\ncity: The city.\ndays: How many days.",
    "Look.\n\nArgs:\n\n    city: The city.\n\n    days: How many days.\n",
    "Look.\n\nArgs:\n    city - The city.\n    days -- How many days.",
    "Look.\n\nArgs:\n    city -> The city.\n    days = How many days.",
    "Look.\n\nArgs:\n    city [str]: The city.\n    days <int>: How many days.",
    "Look.\n\nArgs:\n    city:\n        The city.\n    days:\n        How many days.",
    "Look.\n\nArgs:\n    city (str):\n        The city.\n    days (int):\n        How many days.",
    "Look.\n\n- city: The city.\n- days: How many days.",
    "Look.\n\ncity: The city.\ndays: How many days.",
    "Look.\n\n| Name | Type | Description |\n"
    "|---|---|---|\n| city | str | The city. |\n| `days` | int | How many days. |",
    "Look.\n\nArgs:\n    1. city: The city.\n    2. days: How many days.",
    "Look.\n\nArgs: city: The city.\n      days: How many days.",
    "Look.\n\nARGS:\n    city: The city.\n    days: How many days.",
    "Look.\n\nargs:\n    city: The city.\n    days: How many days.",
    "Look.\n\nArgs :\n    city : The city.\n    days : How many days.",
    "Look.\n\nKeyword Args:\n    city: The city.\n    days: How many days.",
    "Look.\n\nArgs:\n    city: The city.\nKeyword Arguments:\n    days: How many days.",
    "Look.\n\nParameters\n----------\ncity : str\n"
    "    The city.\n\nOther Parameters\n----------------\ndays : int\n    How many days.",
    "Look.\n\nArgs:\n    **city**: The city.\n    *days*: How many days.",
    "Look.\n\nArgs:\n    **city:** The city.\n    **days (int):** How many days.",
    "Look.\n\nArgs:\n    \"city\": The city.\n    'days': How many days.",
    "Look.\n\nInput:\n    city: The city.\n    days: How many days.\nOutput:\n    x",
    "Look.\n\nInputs:\n- city: The city.\n- days: How many days.",
    "Look.\n\nParameters\n==========\ncity: The city.\ndays: How many days.",
    "Look.\n\nParameters\n    city: The city.\n    days: How many days.",
    "Look.\n\nArgs\n----\ncity: str\n    The city.\ndays: int\n    How many days.",
    "Look.\n\n:param city: The city.\n\n:param days: How many days.\n\nMore.",
    "Look.\n\n:parameter city: The city.\n:arg days: How many days.",
    "Look.\n\n:param city The city.\n:param days - How many days.",
    "Look.\n\n\\param city The city.\n\\param[in] days How many days.\n\\return x",
    "Look.\n\nArgs:\n    city: The city.\n    days: How many days.\n    ctx: The run.\n",
    "Look.\n\nArgs:\n    ctx: The run.\n    city: The city.\n    other: gone.\n    days: How many days.\n",
    "Look.\n\nArgs:\n    city: The city.\n    days: How many days.\n"
    "Raises:\n    ValueError: If bad.\n\nExample:\n    look('x')",
    "Look.\n\nArgs:\n    city (str): The city.\n    days (Optional[Dict[str, int]]): How many days.",
    "Look.\n\nArgs:\n    city (str, required) - The city.\n    days (int, optional) – How many days.",
    "Look.\n    Args:\n        city: The city.\n        days: How many days.",
    "Look.\n\n    Args:\n        city: The city.\n\n        days: How many days.\n    Returns: x",
    "Look.\n\nRequired parameters:\n    city: The city.\nOptional parameters:\n    days: How many days.",
    "Look.\n\nThe parameters are:\n    city: The city.\n    days: How many days.",
    "Look.\n\nArgs:\n    • city: The city.\n    • days: How many days.",
    "Look.\n\nArgs:\n    city (str): The city.\n\n    Returns:\n        x\n    days (int): How many days.",
    "Look.\n\nАргументы:\n    city: The city.\n    days: How many days.\nВозвращает:\n    x",
    "Look.\n\n:param city: The city.\n"
    ":type city: str\n:param days: How many days.\n:type days: int\n:raises ValueError: no",
    "Look.\n\nArgs:\n    city : str\n        The city.\n    days : int\n        How many days.",
    "Look.\n\nArgs:\n    city: str\n        The city.\n    days: int, optional\n        How many days.",
    "Look.\n\nArgs:\n    city: The city.\n    days: How many days.\n    units: One of:\n        C or F",
    "Look.\n\nParameters:\n- `city` (string): The city.\n- `days` (int, default 3): How many days.\n\nReturns: x",
]
"""Each describes `city` as "The city." and `days` as "How many days." """


@pytest.mark.parametrize("docstring", STYLES)
def test_a_docstring_of_any_style_describes_each_parameter(docstring: str) -> None:
    def look(city: str, days: int = 3, units: str = "C") -> str:
        return ""

    look.__doc__ = docstring
    made = tool(look)
    properties = made.parameters["properties"]
    assert properties["city"]["description"] == "The city."
    assert properties["days"]["description"] == "How many days."
    assert made.description


def test_what_describes_no_parameter_stays_in_the_text() -> None:
    """llama_index#22687: a list inside a description was cut at its first line."""
    docstring = """Look up.

    It takes a while.

    Args:
        mode (str): One of:
            - "fast": quick results
            - "deep": exhaustive scan
        gone: It is no parameter any more.
    Note: Be kind.

    Returns:
        The result.

    Example:
        look("fast")
    """
    read = read_docstring(docstring, ["mode"])
    assert read.parameters == {"mode": 'One of: - "fast": quick results - "deep": exhaustive scan'}
    for part in ("Look up.", "It takes a while.", "gone: It is no", "Note: Be kind.", "Example:", 'look("fast")'):
        assert part in read.text
    assert "The result." not in read.text


def test_the_name_of_a_parameter_inside_a_description_is_part_of_it() -> None:
    docstring = """Search.

    Args:
        options: A dict with
            limit: how many
            query: again
        query: What to look for.
        limit: The most.
    """
    assert read_docstring(docstring, ["options", "query", "limit"]).parameters == {
        "options": "A dict with limit: how many query: again",
        "query": "What to look for.",
        "limit": "The most.",
    }


def test_a_word_with_a_hyphen_is_no_entry() -> None:
    assert read_docstring("Scan.\n\nx-ray images and y/z planes.", ["x", "y"]).parameters == {}


def test_keyword_and_other_parameters_are_described() -> None:
    """openai-agents-python#4985: they were dropped."""
    docstring = "Search.\n\nArgs:\n    query: What.\n\nKeyword Args:\n    limit: How many."
    assert read_docstring(docstring, ["query", "limit"]).parameters == {"query": "What.", "limit": "How many."}


def test_variadic_parameters_of_numpy_are_no_headers() -> None:  # openai/openai-agents-python#3956
    docstring = "Sum.\n\nParameters\n----------\na : int\n    First.\n*args\n    More.\n**kwargs : dict\n    Options."
    read = read_docstring(docstring, ["a", "args", "kwargs"])
    assert read.parameters == {"a": "First.", "args": "More.", "kwargs": "Options."}
    assert read.text == "Sum."
    assert read_docstring("Sum.\n\n**Args**\n- args: More.", ["args"]).parameters == {"args": "More."}


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=4, unique=True),
    st.sampled_from(
        ["{0}: {1}", "- {0}: {1}", "`{0}`: {1}", "{0} (str): {1}", "{0} : {1}", "**{0}** - {1}", "{0}：{1}"]
    ),
    st.sampled_from(["Args:", "Arguments:", "Parameters", "**Params**", "### Parameters", "参数："]),
    st.sampled_from(["", " ", "    ", "\t"]),
    st.booleans(),
)
def test_every_parameter_is_described_in_any_mixture(
    names: list[str], entry: str, header: str, indent: str, blank: bool
) -> None:
    lines = [f"{indent}{entry.format(name, f'Text of {number}.')}" for number, name in enumerate(names)]
    docstring = "\n".join(["Do it.", *([""] if blank else []), header, *lines])
    read = read_docstring(docstring, names)
    assert read.parameters == {name: f"Text of {number}." for number, name in enumerate(names)}
    assert read.text == "Do it."


@pytest.mark.parametrize(
    "part", ["Args:\n    city: x\n", "city: ", ":param city: x\n", "Returns\n---\n", "((((", "*`", "| city "]
)
def test_a_docstring_is_read_in_linear_time(part: str) -> None:
    assert_linear(lambda size: read_docstring("Look.\n" + part * size, ["city"]), 1500)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=" \n:-*`abc@|=[](){}.", max_size=80))
def test_any_docstring_is_read(docstring: str) -> None:
    read_docstring(docstring, ["a", "b", "abc"])
