"""Lines of a server, in pieces of any size: each whole, none larger than allowed, in linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.mcp import lines
from agentkit.mcp.lines import Lines, TooLong
from tests.support.growth import assert_linear


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_lines_are_put_together_whatever_the_pieces(texts: list[bytes], size: int) -> None:
    texts = [text.replace(b"\n", b" ") for text in texts]
    data = b"".join(text + b"\n" for text in texts) + b"unfinished"
    reader = Lines()
    found = [line for start in range(0, len(data), size) for line in reader.feed(data[start : start + size])]
    assert found == texts


@pytest.mark.parametrize(
    ("line", "id"),
    [
        (b'{"jsonrpc":"2.0","id":12,"result":{"id":3,"text":"%s"}}', 12),
        (b'{"id": "12" , "jsonrpc": "2.0", "result": "%s"}', 12),
        (b'{"result":{"id":3,"text":"%s"},"jsonrpc":"2.0","id":12}', 12),
        (b'{"result":{"text":"%s","id":3},"id":12,"jsonrpc":"2.0"}', 12),
        (b'{"result":{"id":3,"text":"%s"}}', None),
        (b"%s", None),
    ],
)
def test_a_line_that_is_too_long_has_its_id_where_it_stands_at_an_end(
    line: bytes, id: "int | None", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 5_000)
    reader = Lines()
    data = b"before\n" + line % (b"x" * 20_000) + b"\r\nafter\n"
    found = [each for start in range(0, len(data), 700) for each in reader.feed(data[start : start + 700])]
    assert found[0] == b"before"
    assert found[2] == b"after"
    assert isinstance(found[1], TooLong)
    assert found[1].id == id
    assert len(found[1].head) == len(found[1].tail) == lines.KEPT


def test_a_long_line_is_put_together_in_linear_time() -> None:
    def read(size: int) -> object:
        reader = Lines()
        piece = b"x" * 64
        return [list(reader.feed(piece)) for _ in range(size)]

    assert_linear(read, 20_000)
