"""A client of the MQTT bridge for trying it out, with the command line of the first one; see also `agentkit mqtt-chat`.

    python vllm_test_client.py --project maze --session my_session --broker localhost
    python vllm_test_client.py --system_prompt "You are a helpful coding assistant" --temperature 0.8 --max_tokens 256

In a conversation, `prompt TEXT` sets the system prompt, `help` lists the commands, and `exit`, `quit` or `q` ends it.
"""

import argparse
import sys
import time
import uuid

from agentkit.serving.mqtt.client import ChatClient
from agentkit.serving.mqtt.settings import BrokerSettings

SECONDS = 60.0
"""How long an answer is waited for."""

HELP = "prompt TEXT: set the system prompt; clear: clear the screen; exit, quit, q: end the conversation"


class vLLMClient:
    """Conversations with a bridge. min_request_interval: seconds between two messages.

    responses: the answers of each session, in order.
    """

    def __init__(
        self,
        broker: str = "localhost",
        port: int = 1883,
        username: str | None = None,
        password: str | None = None,
        min_request_interval: float = 0.1,
    ) -> None:
        self.broker = broker
        self.port = port
        self.min_request_interval = min_request_interval
        self.responses: dict[str, list[str]] = {}
        self._settings = BrokerSettings(broker, port, username, password)
        self._clients: dict[tuple[str, str], ChatClient] = {}
        self._last = 0.0

    def connect(self) -> bool:
        """Return whether the broker can be reached; if not, why is printed."""
        try:
            ChatClient(self._settings).close()
        except OSError as error:
            print(f"Connection error: {error}", file=sys.stderr)
            return False
        return True

    def disconnect(self) -> None:
        """End all conversations."""
        while self._clients:
            self._clients.popitem()[1].close()

    def send_message(
        self,
        project: str,
        session_id: str,
        message: str,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        system_prompt: str | None = None,
    ) -> str | None:
        """Send a message, print its answer and return it; None when none arrives within SECONDS.

        Raises OSError when the broker refuses the connection.
        """
        time.sleep(max(0.0, self._last + self.min_request_interval - time.monotonic()))
        self._last = time.monotonic()
        given = {"temperature": temperature, "topP": top_p, "maxTokens": max_tokens, "systemPrompt": system_prompt}
        fields = {name: value for name, value in given.items() if value is not None}
        answer = self._client(project, session_id).ask(message, SECONDS, fields)
        if answer is not None:
            self.responses.setdefault(session_id, []).append(answer)
        print(answer if answer is not None else "Timeout waiting for response")
        return answer

    def chat(
        self,
        project: str = "general",
        session_id: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        system_prompt: str | None = None,
    ) -> None:
        """Hold a conversation on the terminal until its user ends it."""
        session_id = session_id or f"user-{uuid.uuid4().hex[:8]}"
        print(f"Project: {project}, session: {session_id}. {HELP}", file=sys.stderr)
        try:
            while (line := input("> " if sys.stdin.isatty() else "").strip()).lower() not in ("exit", "quit", "q"):
                word, _, rest = line.partition(" ")
                if word.lower() == "prompt" and rest.strip():
                    system_prompt = rest.strip()
                elif line.lower() in ("help", "?"):
                    print(HELP)
                elif line.lower() == "clear":
                    print("\n" * 50)
                elif line:
                    self.send_message(project, session_id, line, temperature, top_p, max_tokens, system_prompt)
        except (EOFError, KeyboardInterrupt):
            pass
        finally:
            self.disconnect()

    def _client(self, project: str, session_id: str) -> ChatClient:
        if (project, session_id) not in self._clients:
            client = ChatClient(self._settings)
            client.begin(project, session_id)
            self._clients[project, session_id] = client
        return self._clients[project, session_id]


def main(
    project: str = "general",
    session: str | None = None,
    broker: str = "localhost",
    port: int = 1883,
    username: str | None = None,
    password: str | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    system_prompt: str | None = None,
) -> None:
    """Hold a conversation on the terminal."""
    client = vLLMClient(broker, port, username, password)
    if not client.connect():
        sys.exit(1)
    try:
        client.chat(project, session, temperature, top_p, max_tokens, system_prompt)
    except OSError as error:
        print(f"Connection error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", default="general")
    for text in ("session", "username", "password", "system_prompt"):
        parser.add_argument(f"--{text}", f"--{text.replace('_', '-')}")
    parser.add_argument("--broker", default="localhost")
    parser.add_argument("--port", type=int, default=1883)
    for number in ("temperature", "top_p"):
        parser.add_argument(f"--{number}", f"--{number.replace('_', '-')}", type=float)
    parser.add_argument("--max_tokens", "--max-tokens", type=int)
    main(**vars(parser.parse_args()))
