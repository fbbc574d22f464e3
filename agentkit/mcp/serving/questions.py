"""Questions to the person in front of a client, which since 2026-07-28 are a result: the client asks them, and sends
the same call again with the answers.

Nothing is kept for a call meanwhile: what belongs to it is in `requestState`, signed with a key of this process.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from agentkit.errors import Remade
from agentkit.mcp.serving.protocol import INVALID_PARAMS, MISSING_CAPABILITY, Message, Refusal

SECONDS = 600.0
"""How long an answer is waited for."""
MAX_USED = 10_000
"""Maximum number of states that are remembered as used."""

CAPABILITIES = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
"""The capability that a client needs to answer a question, by its method."""


class NeedsInput(Remade, Exception):
    """A call can't go on without answers of the client. requests: the questions by their keys, each with `method` and
    `params`. state: a text that comes back with the answers; None: none does. once: whether it comes back only once."""

    def __init__(self, requests: Mapping[str, Message], state: str | None = None, once: bool = False) -> None:
        super().__init__("the call needs answers of the client")
        self.requests = dict(requests)
        self.state = state
        self.once = once

    def check(self, capabilities: Mapping[str, Any] | None) -> None:
        """Raise Refusal when the client can't answer the questions. capabilities: of the client; None for one that
        can't be asked."""
        methods = {str(each["method"]) for each in self.requests.values()}
        needed = {CAPABILITIES.get(each, each) for each in methods}
        lacking = sorted(name for name in needed if not _has(capabilities or {}, name))
        if lacking:
            named = " and ".join(lacking)
            data: Message = {"requiredCapabilities": {name: {} for name in lacking}}
            raise Refusal(MISSING_CAPABILITY, f"this needs a client with the capability {named}; nothing was run", data)


def _has(capabilities: Mapping[str, Any], name: str) -> bool:
    return can_fill_forms(capabilities) if name == "elicitation" else isinstance(capabilities.get(name), Mapping)


def can_fill_forms(capabilities: Mapping[str, Any]) -> bool:
    """Whether a client can ask its user to fill in a form; others can only open addresses, or not even that."""
    found = capabilities.get("elicitation")
    return isinstance(found, Mapping) and (not found or "form" in found)


class States:
    """Makes and reads `requestState`. A state is valid for the call that it was made for, in this process."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    def made(self, needs: NeedsInput, call: str) -> str | None:
        """The state to send with the questions. call: what identifies the call."""
        if needs.state is None:
            return None
        nonce = secrets.token_urlsafe(12) if needs.once else ""
        payload = json.dumps([nonce, time.time() + SECONDS, needs.state]).encode()
        return f"{base64.urlsafe_b64encode(payload).decode()}.{self._signature(payload, call)}"

    def read(self, state: Any, call: str) -> str | None:
        """The text of a state; None for one that is out of date, or was to be used once and is used again. Raises
        Refusal for one that is not of this server and this call."""
        payload = _payload(state)
        signature = str(state).rpartition(".")[2].encode("utf-8", "surrogatepass")
        if payload is None or not hmac.compare_digest(self._signature(payload, call).encode(), signature):
            raise Refusal(INVALID_PARAMS, "requestState was not made by this server for this call: send it without")
        nonce, end, text = json.loads(payload)
        is_current = time.time() < end and (not nonce or self._use(nonce))
        return str(text) if is_current else None

    def _use(self, nonce: str) -> bool:
        now = time.time()
        with self._lock:
            if nonce in self._used:
                return False
            if len(self._used) >= MAX_USED:
                self._used = {each: end for each, end in self._used.items() if end > now}
            if len(self._used) >= MAX_USED:
                return False
            self._used[nonce] = now + SECONDS
            return True

    def _signature(self, payload: bytes, call: str) -> str:
        return hmac.new(self._key, payload + b"\0" + call.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _payload(state: Any) -> bytes | None:
    if not isinstance(state, str):
        return None
    try:
        return base64.b64decode(state.rpartition(".")[0].encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        return None


def inputs_of(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answers that a call brings. Raises Refusal."""
    inputs = params.get("inputResponses", {})
    if not isinstance(inputs, Mapping) or not all(isinstance(each, Mapping) for each in inputs.values()):
        raise Refusal(INVALID_PARAMS, "inputResponses must be an object of objects, by the keys of inputRequests")
    return inputs
