"""Errors are described by their innermost cause."""

import urllib3
from urllib3.connection import HTTPConnection

from agentkit.net.error_text import cause_of, causes_of, innermost


def test_the_innermost_cause_is_found_behind_an_error_of_urllib3() -> None:
    refused = ConnectionRefusedError("[Errno 111] Connection refused")
    inner = urllib3.exceptions.NewConnectionError(HTTPConnection("127.0.0.1"), "refused")
    inner.__cause__ = refused
    outer = ConnectionError("no answer")
    outer.__cause__ = urllib3.exceptions.MaxRetryError(urllib3.HTTPConnectionPool("127.0.0.1"), "/", reason=inner)
    assert list(causes_of(outer)) == [outer, outer.__cause__, inner, refused]
    assert innermost(outer) is refused
    assert cause_of(outer) == "ConnectionRefusedError: Connection refused"


def test_causes_that_lead_in_a_circle_come_to_an_end() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    assert list(causes_of(first)) == [first, second]
    assert cause_of(first) == "KeyError: 'second'"


def test_a_reason_that_is_a_text_is_no_cause() -> None:
    error = UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range")
    assert innermost(error) is error
