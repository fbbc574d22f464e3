"""What errors of a transport say: in agentkit's words, or in those of the openai package where it was used before."""

from collections.abc import Callable

from agentkit._lazy.records import dataclass, replace


@dataclass(frozen=True)
class Wording:
    """The messages of errors, from the address without password and query.

    unreachable: with a hint (what to look at) and the cause. timed_out: of a server that sent nothing in time, with the
    hint. broken: of a connection that was closed in the middle of a response, with the hint. refused: with the status
    and what the body reports. connecting_times_out: whether a server that does not accept in time has timed out, and is
    not unreachable. keeps_text: whether the error keeps a body that is not JSON.
    """

    unreachable: Callable[[str, str, str], str]
    timed_out: Callable[[str, str], str]
    broken: Callable[[str, str], str]
    refused: Callable[[str, int, str], str]
    connecting_times_out: bool = False
    keeps_text: bool = False


OWN = Wording(
    unreachable=lambda where, hint, cause: f"{where} can't be reached ({_about_url(hint)}): {cause}",
    timed_out=lambda where, hint: f"{where} sent nothing within the timeout: raise timeout=, or request fewer tokens",
    broken=lambda where, hint: f"{where}: the connection was closed before the response was complete",
    refused=lambda where, status, reported: f"{where} answered {status}: {reported}",
)

OPENAI = Wording(
    unreachable=lambda where, hint, cause: f"Connection error: {where} ({hint}): {cause}",
    timed_out=lambda where, hint: f"Request timed out: {where} ({hint})",
    broken=lambda where, hint: f"Connection error: the response of {where} broke off ({hint})",
    refused=lambda where, status, reported: (
        f"Error code: {status}{f' - {reported}' if reported else ''}{_about_path(status, reported)}"
    ),
    connecting_times_out=True,
    keeps_text=True,
)

EMBEDDINGS = replace(
    OPENAI,
    unreachable=lambda where, hint, cause: "Connection error",
    timed_out=lambda where, hint: "Request timed out",
    broken=lambda where, hint: "Connection error: the response broke off",
)
"""Without the address, which is told of each error."""


def _about_url(hint: str) -> str:
    return hint.replace("running?", "running, is base_url right?")


def _about_path(status: int, reported: str) -> str:
    """What to look at where a server has nothing at an address, but for one that says that it has not the model."""
    is_unknown = status in (404, 405) and "model" not in reported.lower()
    return " (is the base URL right? it usually ends in /v1)" if is_unknown else ""
