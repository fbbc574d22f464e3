"""The model client and the sessions of the Prompt Portal's backend under their names, on agentkit's agent and sessions.

    from app.services.llm_client import get_session_manager, init_llm_service

    init_llm_service("http://localhost:8080")
    answer = get_session_manager().process_message(
        session_id="s1", system_prompt="You are a guide.", user_message="Hello", use_tools=False
    )

A session's messages are answered one after another. One that fails is not kept, and no error text becomes history.
"""

import functools
import hashlib
import json
import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any

from agentkit import Agent, AgentkitError, APIError, MemorySessions, OpenAICompatibleClient, Window
from agentkit.event import Event, ReplyFinished
from agentkit.message import Message, system, user, without_stop_note
from agentkit.running.append_only import AppendOnlyText, LateReasoningSeen
from agentkit.serving.mqtt import maze
from agentkit.serving.upstream import base_url, model_server
from agentkit.session import Session, Sessions

MAZE_GAME_TOOLS: list[dict[str, Any]] = [tool.schema for tool in maze.tools()]
"""The functions of the maze game, as chat completions take them."""

THINKING = ("enable_thinking", "chat_template_kwargs")
"""The fields that say whether the model thinks first."""

MAX_MODELS = 16
"""For how many models, by name, agents are kept."""


class LLMClient:
    """A model server with OpenAI's chat completions: llama.cpp, vLLM and others.

    server_url: with or without /v1. timeout: in seconds. skip_thinking: whether the model is told not to think first.
    backend_type: "openai" for a server that refuses the fields which say so; all others get them.
    """

    def __init__(
        self,
        server_url: str,
        timeout: float = 300,
        default_temperature: float = 0.6,
        default_top_p: float = 0.9,
        default_max_tokens: int = 512,
        skip_thinking: bool = True,
        api_key: str = "not-needed",
        backend_type: str = "auto",
    ) -> None:
        self.server_url = server_url.rstrip("/")
        self.timeout = timeout
        self.default_temperature = default_temperature
        self.default_top_p = default_top_p
        self.default_max_tokens = default_max_tokens
        self.skip_thinking = skip_thinking
        self.api_key = api_key
        self.backend_type = backend_type
        self.says_thinking = backend_type != "openai"
        self.client = OpenAICompatibleClient(api_key, base_url(server_url), timeout)

    def generate(
        self,
        messages: Sequence[Mapping[str, Any]],
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        model: str | None = "default",
        tools: list[dict[str, Any]] | None = None,
        tool_choice: Any = "auto",
    ) -> str:
        """Return the text of the reply; of one that calls functions of `tools`, the JSON object that `reply_text`
        describes. Raises RuntimeError when the server can't answer."""
        try:
            answer = self._create(messages, temperature, top_p, max_tokens, model, tools, tool_choice)
        except APIError as error:
            raise RuntimeError(f"OpenAI API error: {error}") from error
        return reply_text(answer.choices[0].message.model_dump())

    def generate_stream(
        self,
        messages: Sequence[Mapping[str, Any]],
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        model: str | None = "default",
        tools: list[dict[str, Any]] | None = None,
        tool_choice: Any = "auto",
    ) -> Iterator[str]:
        """Yield the text of the reply as it arrives; when the server fails, a last text that begins with "Error: "."""
        try:
            chunks = self._create(messages, temperature, top_p, max_tokens, model, tools, tool_choice, stream=True)
            with closing(chunks):
                yield from (
                    choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content
                )
        except APIError as error:
            yield f"Error: OpenAI API error: {error}"

    def _create(
        self,
        messages: Sequence[Mapping[str, Any]],
        temperature: float | None,
        top_p: float | None,
        max_tokens: int | None,
        model: str | None,
        tools: list[dict[str, Any]] | None,
        tool_choice: Any,
        stream: bool = False,
    ) -> Any:
        thinks = not self.skip_thinking
        told = {"enable_thinking": thinks, "chat_template_kwargs": {"enable_thinking": thinks}}
        return self.client.chat.completions.create(
            model=model or "default",
            messages=messages,
            temperature=self.default_temperature if temperature is None else temperature,
            top_p=self.default_top_p if top_p is None else top_p,
            max_tokens=self.default_max_tokens if max_tokens is None else max_tokens,
            tools=tools or None,
            tool_choice=tool_choice if tools else None,
            extra_body=told if self.says_thinking else {},
            stream=stream,
        )


def reply_text(message: Message) -> str:
    """The text of a reply; of one with calls, a JSON object with its text as `hint` and its calls as `function_calls`,
    each with `name` and `arguments`."""
    text = without_stop_note(message)
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    if not calls:
        return text
    made = [{"name": call["name"], "arguments": _arguments(call["arguments"])} for call in calls]
    return json.dumps({"hint": text, "function_calls": made}, ensure_ascii=False)


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


class SessionManager:
    """Conversations with a model. Thread-safe.

    max_history_tokens: how much of a conversation the model is sent. max_history_messages: how many pairs of a message
    and its answer, the new one included; None: as many as the tokens allow. sessions: where they are kept; None: in
    memory.
    """

    def __init__(
        self,
        llm_client: LLMClient,
        max_history_tokens: int = 10_000,
        max_history_messages: int | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self.llm_client = llm_client
        self.max_history_tokens = max_history_tokens
        self.max_history_messages = max_history_messages
        self.sessions = sessions if sessions is not None else MemorySessions()
        self._agent = functools.lru_cache(MAX_MODELS)(self._made_agent)
        self._late_reasoning = LateReasoningSeen()

    def process_message(
        self,
        session_id: str,
        system_prompt: str,
        user_message: str,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        use_tools: bool = True,
        use_history: bool = True,
        max_history_messages: int | None = None,
        model: str | None = None,
    ) -> str:
        """Return the answer to a message of a session, which it creates; of one that calls functions of the game, the
        JSON object that `reply_text` describes.

        system_prompt: that of the first message holds for the session. use_tools: whether the model is offered the
        functions of the maze game. use_history: False answers the message alone, and keeps nothing. model: its name on
        the server.

        Raises RuntimeError when the message can't be answered; it is not kept then.
        """
        sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        events = self._events(
            session_id, system_prompt, user_message, sampling, use_tools, use_history, max_history_messages, model
        )
        try:
            replies = [event.reply.message for event in events if isinstance(event, ReplyFinished)]
        except (APIError, AgentkitError) as error:
            raise RuntimeError(f"OpenAI API error: {error}") from error
        return reply_text(replies[-1]) if replies else ""

    def process_message_stream(
        self,
        session_id: str,
        system_prompt: str,
        user_message: str,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        use_tools: bool = False,
        use_history: bool = True,
        max_history_messages: int | None = None,
        model: str | None = None,
    ) -> Iterator[str]:
        """Yield the text of the answer as it arrives; when the message can't be answered, a last text with "Error: ".
        Whoever stops reading stops the answer, of which is kept what had arrived."""
        sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        events = self._events(
            session_id, system_prompt, user_message, sampling, use_tools, use_history, max_history_messages, model
        )
        text = AppendOnlyText(self._late_reasoning)
        try:
            with closing(events):
                yield from filter(None, map(text.take, events))
        except (APIError, AgentkitError) as error:
            yield f"\n\nError: {error}"

    def _events(
        self,
        session_id: str,
        system_prompt: str,
        user_message: str,
        sampling: Mapping[str, Any],
        use_tools: bool,
        use_history: bool,
        limit: int | None,
        model: str | None,
    ) -> Generator[Event, None, None]:
        """The events of a run, whose messages are stored at its end, also of one that is left before. The session is
        locked meanwhile."""
        with ExitStack() as stack:
            session, added = self._session(session_id), list[Message]()
            writer = stack.enter_context(session.hold(self.llm_client.timeout)) if use_history else None
            known = session.messages if use_history else []
            earlier = known or [system(system_prompt)]
            cancel = threading.Event()
            run = self._agent(model or "default").stream(
                user_message,
                messages=last_turns(earlier, self.max_history_messages if limit is None else limit),
                tools=maze.tools() if use_tools else [],
                sampling={
                    **({} if self.llm_client.says_thinking else dict.fromkeys(THINKING)),  # None leaves a field out
                    **{name: value for name, value in sampling.items() if value is not None},
                },
                cancel=cancel,
            )
            try:
                for event in stack.enter_context(run):
                    added += event.adds
                    yield event
            except GeneratorExit:
                cancel.set()
                with suppress(APIError, AgentkitError):
                    added += [message for event in run for message in event.adds]
            if writer is not None and added:
                writer.append([*([] if known else earlier), user(user_message), *added])

    def get_session_history(self, session_id: str) -> list[dict[str, str]] | None:
        """Return the messages of a session, its system prompt first; None for one that does not exist."""
        messages = [each for each in self._session(session_id).messages if each["role"] != "tool"]
        return [{"role": each["role"], "content": reply_text(each)} for each in messages] or None

    def clear_session(self, session_id: str) -> None:
        """Delete a session."""
        if (key := self._session(session_id).id) in self.sessions:
            self.sessions.delete(key)

    def _session(self, session_id: str) -> Session:
        return self.sessions[hashlib.sha256(str(session_id).encode("utf-8", "surrogatepass")).hexdigest()]

    def _made_agent(self, model: str) -> Agent:
        client = self.llm_client
        backend = model_server(
            client.server_url,
            timeout=client.timeout,
            temperature=client.default_temperature,
            top_p=client.default_top_p,
            max_tokens=client.default_max_tokens,
            thinks=not client.skip_thinking,
            model=model,
            api_key=client.api_key,
        )
        return Agent(backend, window=Window(self.max_history_tokens))


def last_turns(messages: Sequence[Message], pairs: int | None) -> Sequence[Message]:
    """The system prompt and the last turns of a conversation, one less than `pairs`, since a new one follows."""
    begins = [number for number, message in enumerate(messages) if message["role"] == "user"]
    if pairs is None or len(begins) < pairs:
        return messages
    return [messages[0], *(messages[begins[1 - pairs] :] if pairs > 1 else ())]


_client: LLMClient | None = None
_manager: SessionManager | None = None


def init_llm_service(
    server_url: str,
    timeout: float = 300,
    temperature: float = 0.6,
    top_p: float = 0.9,
    max_tokens: int = 512,
    skip_thinking: bool = True,
    max_history_tokens: int = 10_000,
    backend_type: str = "auto",
) -> None:
    """Set the model server of this process, and begin with no sessions. It is asked nothing yet."""
    global _client, _manager
    _client = LLMClient(
        server_url, timeout, temperature, top_p, max_tokens, skip_thinking=skip_thinking, backend_type=backend_type
    )
    _manager = SessionManager(_client, max_history_tokens)


def get_llm_client() -> LLMClient:
    """Return the client of this process. Raises RuntimeError before `init_llm_service`."""
    if _client is None:
        raise RuntimeError("LLM service not initialized. Call init_llm_service first.")
    return _client


def get_session_manager() -> SessionManager:
    """Return the sessions of this process; before `init_llm_service`, those of the server at LLM_SERVER_URL."""
    if _manager is None:
        init_llm_service(os.environ.get("LLM_SERVER_URL") or "http://localhost:8080")
        assert _manager is not None
    return _manager
