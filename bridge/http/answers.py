"""Answers: every answer of the HTTP doors, in one shape, never cached."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from bridge.words.errors import Fault

_ENCODE = msgspec.json.Encoder().encode
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "popbridge"}
_PROBLEM = "application/problem+json"
_JSON = {"Content-Type": "application/json", **_HEADERS}
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})


class Answer:
    """One whole answer. `keep_alive` is False where the connection must end with it."""

    __slots__ = ("body", "headers", "keep_alive", "status")

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.keep_alive = True

    def spell(self, *, version: str, asks_body: bool) -> bytes:
        """Spell it as HTTP/`version` has it (RFC 9112); without its body for HEAD. No field can begin another one."""
        fields = _USUAL_SPELLED if self.headers == _USUAL else _spell(self.headers)
        length = "" if self.status in _BODILESS else f"Content-Length: {len(self.body)}\r\n"
        connection = ""
        if not self.keep_alive:
            connection = "Connection: close\r\n"
        elif version == "1.0":
            connection = "Connection: keep-alive\r\n"
        head = (
            f"HTTP/{version} {self.status} {_REASONS[self.status]}\r\n"
            f"{fields}Date: {rfc822_formatted_time()}\r\n{length}{connection}\r\n"
        )
        return head.encode() + self.body if asks_body else head.encode()


def _spell(headers: Mapping[str, str]) -> str:
    spelled = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if spelled.count("\n") > len(headers) or spelled.count("\r") > len(headers):
        raise ValueError("a header field has a line break")
    return spelled


# What most answers have, as Dispatch completes it.
_USUAL = {**_JSON, "Vary": "Origin"}
_USUAL_SPELLED = _spell(_USUAL)


Answered = Answer | web.StreamResponse
"""What a door gives: an answer to be written, or a stream that wrote itself."""


def ok(answer: msgspec.Struct | Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
    """Answer 200 with a JSON object."""
    return json(200, _ENCODE(answer), headers)


def json(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with JSON that is spelled already."""
    return Answer(status, body, {**_JSON, **headers} if headers else _JSON.copy())


def text(body: bytes, content_type: str) -> Answer:
    """Answer 200 with a text of its own kind."""
    return Answer(200, body, _HEADERS | {"Content-Type": content_type})


def empty(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer without a body."""
    return Answer(status, b"", _HEADERS | dict(headers or {}))


def refusal(fault: Fault, accept: str = "", *, close: bool = False) -> Answer:
    """Answer a refusal in the one shape; as problem+json (RFC 9457), where Accept asks, `status` is the number."""
    problem = fault.problem
    as_problem = _PROBLEM in accept.lower()
    answer = {
        "success": False,
        "status": problem.status if as_problem else "error",
        "http_status": problem.status,
        "code": problem.code,
        "title": problem.title,
        "detail": fault.detail,
        "hint": problem.hint,
        **fault.extra,
    }
    kind = {"Content-Type": _PROBLEM} if as_problem else {}
    response = json(problem.status, _ENCODE(answer), {**kind, **fault.headers})
    response.keep_alive = not close
    return response
