"""A loopback LightLLM server, as strict as the real one, that plays scripted replies and records requests.

    python -m tests.support.lightllm_server [--port 8000] [--model NAME] [--says TEXT ...]

It follows the contract of ModelTC/LightLLM's HTTP layer at commit 87881ae (August 2026). It has no tokenizer: a token
is a special token, a word with its leading space, a newline, or one Chinese or Japanese character.

    with serve_lightllm(["Hello."]) as server:
        LightLLMClient(base_url=server.url)
"""

import argparse
import base64
import binascii
import itertools
import json
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.model_server import QuietServer, running

PLACEHOLDERS = {"qwen": "<|vision_start|><|image_pad|><|vision_end|>", "internvl": "<image>"}
_TOKEN = re.compile(r"<\|?[/\w｜▁]+\|?>|[぀-ヿ一-鿿]|\n| ?[^\s<぀-ヿ一-鿿]+|\s|<")
_IMAGE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")


@dataclass(frozen=True)
class Says:
    """The scripted reply to one request.

    pieces: the tokens, when they matter. pause: seconds between frames, and before a complete response. status, error,
    error_body, headers: an error response instead. error_after, cut_after, bad_frame_after: the number of frames of a
    stream before an error frame, before the connection is closed, before a frame that is not JSON. raw: the whole body,
    overriding everything else. drop: the connection is closed without a response. multiple: `generated_text` is a bare
    string, as in TGI's format.
    """

    text: str = ""
    finish_reason: str = "stop"
    pieces: Sequence[str] | None = None
    pause: float = 0.0
    status: int = 200
    error: str = ""
    error_body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error_after: int | None = None
    cut_after: int | None = None
    bad_frame_after: int | None = None
    raw: bytes | None = None
    drop: bool = False
    multiple: bool = False


@dataclass(frozen=True)
class Asked:
    """One recorded request."""

    path: str
    raw: bytes
    body: dict[str, Any]
    headers: dict[str, str]
    query: str = ""

    @property
    def prompt(self) -> str:
        return str(self.body["inputs"])

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.body["parameters"])

    @property
    def images(self) -> list[dict[str, str]]:
        return list(self.body.get("multimodal_params", {}).get("images", []))


Script = Sequence["Says | str"] | Callable[[Asked], "Says | str"]


class Refused(Exception):
    """An error response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class LightLLMServer:
    """The running server: `url` is its root."""

    def __init__(
        self,
        says: Script,
        model: str,
        max_model_len: int,
        vision: str,
        server_info: Mapping[str, Any] | None,
        port: int = 0,
    ) -> None:
        self.requests: list[Asked] = []
        self.connections = 0
        self.model = model
        self.max_model_len = max_model_len
        self.placeholder = PLACEHOLDERS[vision]
        self.info = dict(server_info or {"model_dir": f"/models/{model}", "run_mode": "normal"})
        self.more_pages: dict[str, Any] = {}  # JSON that other servers tell, or the status of an error
        self.healthy = True
        self.cache_capacity = 200
        self._says = says
        self._count = itertools.count()
        self._lock = threading.Lock()
        self.http = QuietServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def note(self, asked: Asked) -> None:
        with self._lock:
            self.requests.append(asked)

    def says_to(self, asked: Asked) -> Says:
        if callable(self._says):
            said = self._says(asked)
        else:
            with self._lock:
                index = next(self._count)
            said = self._says[min(index, len(self._says) - 1)]
        return Says(said) if isinstance(said, str) else said


@contextmanager
def serve_lightllm(
    says: Script = ("Hello.",),
    *,
    model: str = "Qwen3-8B",
    max_model_len: int = 16384,
    vision: str = "qwen",
    server_info: Mapping[str, Any] | None = None,
) -> Iterator[LightLLMServer]:
    """Run the server on a free loopback port. A list is played one reply per request; its last reply repeats."""
    server = LightLLMServer(says, model, max_model_len, vision, server_info)
    with running(server.http):
        yield server


def tokens_of(text: str) -> list[str]:
    return _TOKEN.findall(text)


# ---- checking requests


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(417, f"'{type(value).__name__}' object cannot be interpreted as an integer")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(417, f"must be real number, not {type(value).__name__}")
    return float(struct.unpack("f", struct.pack("f", value))[0])  # the server stores them as C floats


def check_parameters(given: Mapping[str, Any]) -> None:
    """Check `parameters` by the server's rules. Raises Refused."""
    _check_numbers(given)
    _check_counts(given)
    _check_stops(given.get("stop_sequences"))
    _check_guides(given)


def _check_numbers(given: Mapping[str, Any]) -> None:
    rules: dict[str, tuple[Callable[[float], bool], str]] = {
        "temperature": (lambda value: value > 0, "temperature must > 0.0, got {}"),
        "top_p": (lambda value: 0 < value <= 1, "top_p must be in (0.0, 1.0], got {}"),
        "presence_penalty": (lambda value: value >= 0, "presence_penalty must >= 0.0, got {}"),
        "frequency_penalty": (lambda value: value >= 0, "frequency_penalty must >= 0.0, got {}"),
        "repetition_penalty": (lambda value: value >= 1, "repetition_penalty must >= 1.0, got {}"),
    }
    for key, (holds, message) in rules.items():
        if key in given and not holds(value := _number(given[key])):
            raise Refused(400, message.format(value))


def _check_counts(given: Mapping[str, Any]) -> None:
    top_k = _whole_number(given.get("top_k", -1))
    if top_k < 1 and top_k != -1:
        raise Refused(400, f"top_k must be -1 (disable), or at least 1, got {top_k}.")
    max_tokens = _whole_number(given.get("max_new_tokens", 65535))
    if max_tokens < 1:
        raise Refused(400, f"max_new_tokens must be at least 1 , got {max_tokens}.")
    min_tokens = _whole_number(given.get("min_new_tokens", 1))
    if not 1 <= min_tokens <= max_tokens:
        raise Refused(400, f"min_new_tokens must be in [1, {max_tokens}], got {min_tokens}.")
    best_of = _whole_number(given.get("best_of", 1))
    if not 0 < best_of <= 8:
        raise Refused(400, f"need 0 < best_of <= 8, but got {best_of}")
    if _whole_number(given.get("n", best_of)) != best_of:
        raise Refused(400, "current only supported n == best_of")
    seed = given.get("seed")
    if seed is not None and not -1 <= _whole_number(seed) < 2**63:
        raise Refused(400, f"seed must be -1 (random), or an integer in [0, {2**63 - 1}], got {seed}")


def _check_stops(stops: Any) -> None:
    if stops is None:
        return
    given = [stops] if isinstance(stops, str) else list(stops)
    if len(given) > 10:
        raise Refused(417, "Too many stop sequence groups.")
    if any(isinstance(stop, str) and len(stop.encode()) >= 256 for stop in given):
        raise Refused(417, "stop token length too long.")


def _check_guides(given: Mapping[str, Any]) -> None:
    for key in ("guided_json", "guided_grammar", "regular_constraint"):
        value = given.get(key, "")
        if not isinstance(value, str):
            raise Refused(417, f"'{type(value).__name__}' object has no attribute 'encode'")
        if len(value.encode()) >= 2048:
            raise Refused(417, f"{key} is too long.")
    try:
        re.compile(given.get("regular_constraint", ""))
    except re.error:
        raise Refused(400, f"regular_expression '{given['regular_constraint']}' has parse_pattern_error: ") from None


def check_images(prompt: str, multimodal: Any, placeholder: str, cache: int = 200) -> int:
    """Check images by the server's rules; return their number. Raises Refused."""
    if not isinstance(multimodal, dict):
        raise Refused(417, f"MultimodalParams argument after ** must be a mapping, not {type(multimodal).__name__}")
    unknown = multimodal.keys() - {"images", "audios"}
    if unknown:
        raise Refused(417, f"MultimodalParams.__init__() got an unexpected keyword argument '{unknown.pop()}'")
    images = multimodal.get("images", [])
    if len(images) > cache:
        raise Refused(400, f"too many multimodal items: {len(images)} > cache_capacity={cache}")
    for image in images:
        if "type" not in image or "data" not in image:
            raise Refused(417, "'type'" if "type" not in image else "'data'")
        if image["type"] == "base64":
            _check_image(image["data"])
    count = prompt.count(placeholder)
    if count < len(images):
        raise Refused(400, f"invalid image tag num: {count} vs {len(images)}!")
    if count > len(images):
        raise Refused(417, "list index out of range")
    return len(images)


def _check_image(data: str) -> None:
    prefix = f"Failed to read image type=base64, data[:100]={data[:100]}: "
    try:
        image = base64.b64decode(data, validate=data.startswith("data:"))
    except binascii.Error:
        raise Refused(400, prefix + "Incorrect padding!") from None
    if not image.startswith(_IMAGE_SIGNATURES):
        raise Refused(400, prefix + "cannot identify image file <_io.BytesIO object>!")


# ---- generation


@dataclass
class Generation:
    """The tokens generated for a scripted reply under the parameters of a request."""

    tokens: list[str]
    finish_reason: str
    prompt_tokens: int
    images: int

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def count(self) -> int:
        return len(self.tokens) + (self.finish_reason != "length")  # the end token counts

    @property
    def usage(self) -> dict[str, int]:
        text = self.prompt_tokens - 64 * self.images
        return {"input_text_tokens": text, "input_audio_tokens": 0, "input_image_tokens": 64 * self.images}


def generation(said: Says, parameters: Mapping[str, Any], prompt_tokens: int, images: int) -> Generation:
    tokens, reason = list(said.pieces or tokens_of(said.text)), said.finish_reason
    stops = parameters.get("stop_sequences") or []
    stops = [stops] if isinstance(stops, str) else stops
    text = ""
    for index, token in enumerate(tokens):
        text += token
        if any(isinstance(stop, str) and stop in text[-len(token) - len(stop) :] for stop in stops):
            tokens, reason = tokens[: index + 1], "stop"  # the token that completes the stop string has been sent
            break
    max_tokens = parameters.get("max_new_tokens", 65535)
    if len(tokens) >= max_tokens:
        tokens, reason = tokens[:max_tokens], "length"
    return Generation(tokens, reason, prompt_tokens, images)


def _logprob(index: int, token: str) -> dict[str, Any]:
    return {str(1000 + index): {"logprob": -0.25, "rank": 1, "decoded_token": token}}


def whole_answer(made: Generation, copies: int, said: Says) -> dict[str, Any]:
    """The response body of `/generate`."""
    logprobs = [_logprob(index, token) for index, token in enumerate([*made.tokens, ""][: made.count])]
    several = copies > 1
    texts = [made.text] * copies
    return {
        "generated_text": made.text if said.multiple else texts,
        "count_output_tokens": [made.count] * copies if several else made.count,
        "finish_reason": [made.finish_reason] * copies if several else made.finish_reason,
        "prompt_tokens": made.prompt_tokens,
        "logprobs": [logprobs] * copies if several else logprobs,
        "input_usage": made.usage,
    }


def frames(made: Generation) -> Iterator[dict[str, Any]]:
    """The frames of `/generate_stream`; the end token is a frame without text."""
    ended = made.finish_reason != "length"
    tokens = [*made.tokens, ""] if ended else made.tokens
    for index, token in enumerate(tokens):
        last = index == len(tokens) - 1
        yield {
            "token": {
                "id": 1000 + index,
                "text": token,
                "logprob": -0.25,
                "special": last and ended,
                "count_output_tokens": index + 1,
                "prompt_tokens": made.prompt_tokens,
                "logprobs": _logprob(index, token),
            },
            "generated_text": None,
            "finished": last,
            "finish_reason": made.finish_reason if last else None,
            "details": None,
            "input_usage": made.usage,
        }


# ---- the OpenAI route


def chat_message(text: str, has_tools: bool) -> tuple[dict[str, Any], str]:
    """The message that the server's qwen25 parser extracts from a text, with its defects, and the finish_reason."""
    thoughts, text = _thoughts(text)
    found = re.findall(r"<tool_call>\n(.*?)\n</tool_call>", text, re.DOTALL) if has_tools else []
    calls = []
    for written in found:
        try:
            call = json.loads(written)
            calls.append((call["name"], json.dumps(call.get("arguments", {}), ensure_ascii=False)))
        except (ValueError, KeyError):
            continue
    content = text.split("<tool_call>")[0].strip() if calls else text
    message: dict[str, Any] = {"role": "assistant", "content": content, "reasoning": thoughts, "tool_calls": []}
    message["tool_calls"] = [
        {"id": f"call_{place}", "index": -1, "type": "function", "function": {"name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(calls)
    ]
    return message, "tool_calls" if calls else "stop"


def _thoughts(text: str) -> tuple[str, str]:
    before, found, after = text.partition("</think>")
    return (before.removeprefix("<think>"), after) if found else ("", text)


def chat_chunks(text: str, has_tools: bool, model: str, prompt_tokens: int) -> Iterator[dict[str, Any]]:
    message, reason = chat_message(text, has_tools)
    head = {"id": "7", "object": "chat.completion.chunk", "created": 1767225600, "model": model}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for token in tokens_of(message["reasoning"]):
        yield chunk({"reasoning": token})
    for token in tokens_of(message["content"]):
        yield chunk({"content": token})
    for place, call in enumerate(message["tool_calls"]):
        function = call["function"]
        yield chunk(
            {
                "tool_calls": [
                    {
                        "index": place,
                        "id": call["id"],
                        "type": "function",
                        "function": {"name": function["name"], "arguments": ""},
                    }
                ]
            }
        )
        if function["arguments"] == "{}":
            break  # a defect of the server: no arguments are sent, and later calls are lost
        yield chunk({"tool_calls": [{"index": place, "function": {"arguments": function["arguments"]}}]})
    yield chunk({}, reason)
    count = len(tokens_of(text))
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": count, "total_tokens": prompt_tokens + count}
    yield {**head, "choices": [], "usage": usage}


def check_chat(body: Mapping[str, Any]) -> None:
    for place, message in enumerate(body.get("messages") or []):
        content = message.get("content")
        if message.get("role") == "user" and content is None:
            raise Refused(422, f"messages.{place}.content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "image_url" and not isinstance(part.get("image_url"), dict):
                raise Refused(422, f"messages.{place}.content.image_url")
    if body.get("logit_bias"):
        raise Refused(400, "The logit_bias parameter is not currently supported")


# ---- HTTP


def _handler(server: LightLLMServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            pages: dict[str, Any] = {
                "/v1/models": {
                    "object": "list",
                    "data": [
                        {
                            "id": server.model,
                            "object": "model",
                            "created": 1767225600,
                            "owned_by": "lightllm",
                            "max_model_len": server.max_model_len,
                        }
                    ],
                },
                "/get_model_name": {"model_name": server.model},
                "/get_server_info": server.info,
                "/liveness": {"status": "ok"},
                "/readiness": {"status": "ok"},
                "/token_load": {"current_load": 0.0, "logical_max_load": 0.0, "dynamic_max_load": 0.0},
                **server.more_pages,
            }
            if path in ("/health", "/healthz"):
                self._json(200, {"message": "Ok"}) if server.healthy else self._json(503, {"message": "Error"})
            elif path == "/tokens":
                query = parse_qs(urlsplit(self.path).query)
                self._tokens({key: values[0] for key, values in query.items()})
            elif isinstance(pages.get(path), int):
                self._json(pages[path], {"error": {"message": "no"}})
            elif path in pages:
                self._json(200, pages[path])
            elif path in ("/generate", "/generate_stream"):
                self._json(405, {"detail": "Method Not Allowed"})
            else:
                self._json(404, {"detail": "Not Found"})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                self._post(raw)
            except Refused as refused:
                kind = "RateLimitError" if refused.status == 429 else "BadRequestError"
                error = {"message": refused.message, "type": kind, "param": None, "code": refused.status}
                self._json(refused.status, {"error": error})
            except OSError:
                self.close_connection = True

        def _post(self, raw: bytes) -> None:
            path = urlsplit(self.path).path
            routes = ("/generate", "/generate_stream", "/", "/tokens", "/v1/chat/completions")
            if path not in routes:
                self._json(404, {"detail": "Not Found"})
                return
            try:
                body = json.loads(raw)
            except ValueError as error:
                raise Refused(400, str(error)) from None
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(path, raw, body, headers, urlsplit(self.path).query)
            server.note(asked)
            if path == "/tokens":
                self._tokens(body)
            elif path == "/v1/chat/completions":
                self._chat(asked)
            else:
                stream = path == "/generate_stream" or (path == "/" and bool(body.get("stream")))
                self._generate(asked, stream)

        def _tokens(self, body: Mapping[str, Any]) -> None:
            if "text" not in body:
                raise Refused(417, "error: 'text'")
            images = len((body.get("multimodal_params") or {}).get("images", []))
            self._json(200, {"ntokens": len(tokens_of(body["text"])) + 64 * images})

        def _generate(self, asked: Asked, stream: bool) -> None:
            body = asked.body
            for key in ("inputs", "parameters"):
                if key not in body:
                    raise Refused(417, f"'{key}'")
            check_parameters(body["parameters"])
            if stream and body["parameters"].get("best_of", 1) != 1:
                raise Refused(417, "stream api only support best_of == 1")
            said = server.says_to(asked)
            time.sleep(said.pause)
            if self._fails(said):
                return
            try:
                made = self._generation(asked, said)
            except Refused as refused:
                if not stream:
                    raise
                self._stream(said, [], refused.message)
                return
            if stream:
                self._stream(said, list(frames(made)))
            else:
                copies = body["parameters"].get("best_of", 1)
                answer = said.raw or _encoded(whole_answer(made, copies, said))
                self._send(200, answer, None, said.headers)

        def _generation(self, asked: Asked, said: Says) -> Generation:
            prompt = asked.body["inputs"]
            if isinstance(prompt, list) and all(type(each) is int for each in prompt):
                prompt = " ".join(map(str, prompt))
            if not isinstance(prompt, str):
                raise Refused(400, "prompt format error")
            if not prompt:
                raise Refused(400, "prompt_ids is empty")
            limit = server.max_model_len
            if len(prompt) > 8 * limit:
                raise Refused(
                    400,
                    f"prompt text length {len(prompt)} exceeds the character limit {8 * limit}, the request is "
                    "rejected before tokenization.",
                )
            images = check_images(
                prompt, asked.body.get("multimodal_params", {}), server.placeholder, server.cache_capacity
            )
            count = len(tokens_of(prompt)) + 64 * images
            if count >= limit:
                max_tokens = asked.parameters.get("max_new_tokens", 65535)
                raise Refused(400, f"the input prompt token len {count} + max_new_tokens {max_tokens} > {limit}")
            return generation(said, asked.parameters, count, images)

        def _chat(self, asked: Asked) -> None:
            check_chat(asked.body)
            said = server.says_to(asked)
            if self._fails(said):
                return
            has_tools = bool(asked.body.get("tools")) and asked.body.get("tool_choice") != "none"
            prompt_tokens = len(tokens_of(json.dumps(asked.body["messages"])))
            if asked.body.get("stream"):
                chunks = list(chat_chunks(said.text, has_tools, asked.body["model"], prompt_tokens))
                events = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks]
                self._chunked("text/event-stream; charset=utf-8", [*events, b"data: [DONE]\n\n"], said.pause)
                return
            message, reason = chat_message(said.text, has_tools)
            count = len(tokens_of(said.text))
            self._json(
                200,
                {
                    "id": "7",
                    "object": "chat.completion",
                    "created": 1767225600,
                    "model": asked.body["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                    "usage": {
                        "prompt_tokens": prompt_tokens,
                        "completion_tokens": count,
                        "total_tokens": prompt_tokens + count,
                    },
                },
            )

        def _fails(self, said: Says) -> bool:
            if said.drop:
                self.close_connection = True
                return True
            if said.status == 200:
                return False
            if said.error_body is not None:
                self._send(said.status, said.error_body, "text/plain; charset=utf-8", said.headers)
                return True
            kind = "RateLimitError" if said.status == 429 else "BadRequestError"
            error = {"message": said.error, "type": kind, "param": None, "code": said.status}
            self._send(said.status, _encoded({"error": error}), "application/json", said.headers)
            return True

        def _stream(self, said: Says, made: list[dict[str, Any]], error: str = "") -> None:
            events = [b"data:" + json.dumps(each, ensure_ascii=False).encode() + b"\n\n" for each in made]
            cut = said.cut_after is not None
            if said.error_after is not None:
                events, error = events[: said.error_after], said.error or "aborted"
            if said.bad_frame_after is not None:
                events = [*events[: said.bad_frame_after], b"data:{not json\n\n", *events[said.bad_frame_after :]]
            if error:
                event = {"error": {"message": error, "type": "invalid_request_error"}}
                events.append(b"data: " + json.dumps(event).encode() + b"\n\n")
            if cut:
                events = events[: said.cut_after]
            if said.raw is not None:
                events = [said.raw]
            self._chunked("text/event-stream; charset=utf-8", events, said.pause, cut)

        def _chunked(self, kind: str, events: list[bytes], pause: float, cut: bool = False) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for event in events:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
                time.sleep(pause)
            if cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

        def _json(self, status: int, value: Any) -> None:
            self._send(status, _encoded(value), "application/json", {})

        def _send(self, status: int, body: bytes, kind: str | None, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            if kind:  # /generate sends no Content-Type
                self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Do not log."""

    return Handler


def _encoded(value: Any) -> bytes:
    """Encode JSON like the server, with slashes escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub(r"</", r"<\\/", text).encode()


# ---- command line


def short_script(asked: Asked) -> str:
    """Call the first tool, then answer in text."""
    prompt = asked.body.get("inputs", "")
    tools = re.search(r"<tools>\n(.*?)\n</tools>", prompt, re.DOTALL)
    if tools is None or "<tool_response>" in prompt:
        return "Done."
    function = json.loads(tools.group(1).splitlines()[0])
    function = function.get("function", function)
    properties = function.get("parameters", {}).get("properties", {})
    fills = {"string": "hello", "integer": 1, "number": 1.0, "boolean": True, "array": ["hello"], "object": {}}
    arguments = {name: fills.get(str(schema.get("type")), "hello") for name, schema in properties.items()}
    call = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{call}\n</tool_call>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", default="Qwen3-8B")
    parser.add_argument("--says", nargs="*", default=None, help="reply texts, one per request; the last one repeats")
    options = parser.parse_args()
    server = LightLLMServer(options.says or short_script, options.model, 16384, "qwen", None, options.port)
    print(server.url, flush=True)
    try:
        server.http.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        server.http.server_close()


if __name__ == "__main__":
    main()
