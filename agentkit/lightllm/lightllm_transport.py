"""The openai package's HTTP on a LightLLM server: what is asked of OpenAI's routes becomes requests that it answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from urllib.parse import unquote

import httpx2

from agentkit.lightllm.chat_api import ChatServer
from agentkit.lightllm.generate_api import TextServer
from agentkit.lightllm.over_requests import (
    CHAT,
    RequestsTransport,
    json_of,
    json_response,
    options_of,
    streamed_response,
)
from agentkit.lightllm.raw_prompts import PromptRequest
from agentkit.lightllm.request import CreateRequest, GenerateReply
from agentkit.net.api_errors import status_error

Mode = Literal["generate", "chat"]
AT_ONCE = 8
"""How many prompts of one request are sent at once: the server answers them together."""


class LightLLMTransport(RequestsTransport):
    """Answers chat completions and raw prompts with `/generate`, or in the mode "chat" with the server's own routes;
    all other requests go to the server's OpenAI routes."""

    def __init__(self, server: TextServer, mode: Mode) -> None:
        super().__init__(server.transport)
        self.server = server
        self.mode = mode
        self._chat_server = ChatServer(server)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response to a request. Raises the openai package's errors."""
        path, question_mark, query = self._path_of(request).partition("?")
        query = question_mark + query
        if request.method == "POST" and path == CHAT:
            return self.chat(query, request)
        if request.method == "POST" and path == "/completions" and self.mode == "generate":
            return self._continued(query, request)
        if request.method == "GET" and path.startswith("/models/"):
            return self._model(unquote(path.removeprefix("/models/")), request)
        return self.forward(f"/v1{path}{query}", request)

    def chat(self, path: str, request: httpx2.Request) -> httpx2.Response:
        """Return the response to a chat completions request. path: the query of the request."""
        asked, options = CreateRequest(json_of(request)), {"query": path, **options_of(request)}
        if self.mode == "chat":
            if asked.stream:
                return streamed_response(*self._chat_server.streamed(asked, **options))
            return json_response(*self._chat_server.whole(asked, **options))
        asked.refuse_unsupported()
        reply = GenerateReply(self.server, asked)
        if asked.stream:
            headers, frames = self.server.streamed(reply.body, **options)
            return streamed_response(headers, reply.chunks(frames))
        headers, generated = self.server.answered(reply.body, **options)
        return json_response(headers, reply.answer(generated))

    def _model(self, name: str, request: httpx2.Request) -> httpx2.Response:
        """Return one of the models in the server's list, which has no route for one."""
        answer = self.transport.get("/v1/models", **options_of(request))
        models = answer.get("data") if isinstance(answer, dict) else None
        found = next((model for model in models or () if isinstance(model, dict) and model.get("id") == name), None)
        if found is None:
            raise status_error(404, f"the server has no model {name!r}: client.models.list() says which it has")
        return json_response({}, found)

    def _continued(self, query: str, request: httpx2.Request) -> httpx2.Response:
        """Return the response to a completions request."""
        asked, options = PromptRequest(json_of(request)), {"query": query, **options_of(request)}
        bodies = asked.bodies()
        if asked.stream:
            headers, first = self.server.streamed(bodies[0], **options)

            def streams() -> Iterator[Any]:
                yield first
                for body in bodies[1:]:
                    yield self.server.frames(body, **options)

            return streamed_response(headers, asked.chunks(streams()))
        if len(bodies) == 1:
            answers = [self.server.answered(bodies[0], **options)]
        else:
            with ThreadPoolExecutor(min(len(bodies), AT_ONCE)) as pool:
                answers = list(pool.map(lambda body: self.server.answered(body, **options), bodies))
        return json_response(answers[0][0], asked.answer([generated for _, generated in answers]))
