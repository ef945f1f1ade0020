"""Answers: every answer of the HTTP doors, in one shape, never cached."""

from collections.abc import Mapping

import msgspec
from aiohttp import web

from bridge.words.errors import Fault

_ENCODE = msgspec.json.Encoder().encode
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "popbridge"}
_PROBLEM = "application/problem+json"


def ok(answer: msgspec.Struct | Mapping[str, object], headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer 200 with a JSON object."""
    return json(200, _ENCODE(answer), headers)


def json(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON that is spelled already."""
    return web.Response(
        status=status, body=body, content_type="application/json", headers=_HEADERS | dict(headers or {})
    )


def text(body: bytes, content_type: str) -> web.Response:
    """Answer 200 with a text of its own kind."""
    return web.Response(body=body, headers=_HEADERS | {"Content-Type": content_type})


def empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer without a body."""
    return web.Response(status=status, headers=_HEADERS | dict(headers or {}))


def refusal(fault: Fault, accept: str = "", *, close: bool = False) -> web.Response:
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
    response = web.Response(
        status=problem.status,
        body=_ENCODE(answer),
        content_type=_PROBLEM if as_problem else "application/json",
        headers=_HEADERS | dict(fault.headers),
    )
    if close:
        response.force_close()
    return response
