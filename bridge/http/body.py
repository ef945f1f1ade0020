"""Body: a request's body, read whole within its bounds of size and time."""

import asyncio
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from bridge.http.whole import Whole
from bridge.words import errors

LARGEST = 262_144
Bytes = TypeVar("Bytes", bytes, bytearray)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Unread(errors.Fault):
    """A refusal given before the body was read to its end: the connection cannot be used again."""


async def read(request: web.BaseRequest, seconds: float, largest: int = LARGEST) -> bytes:
    """Read the body; refuse it unread when it says that it is too large, or comes encoded."""
    length = request.content_length or 0
    if length > largest:
        raise _too_large(length, largest)
    if isinstance(request, Whole):
        return request.body
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
        raise Unread("unsupported_encoding", "The body comes with a Content-Encoding; only identity is supported.")
    if not request.can_read_body:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(_CONTINUE)
    if request.content.is_eof():
        return _bounded(request.content.read_nowait(), largest)
    try:
        async with asyncio.timeout(seconds):
            return await _whole(request.content, largest)
    except TimeoutError:
        raise Unread("request_timeout", f"The body was not complete within {seconds:g} s.") from None
    except (HttpProcessingError, web.RequestPayloadError):
        raise Unread("malformed_body", "The body does not follow its transfer encoding.") from None
    except ConnectionError:
        raise Unread("malformed_body", "The caller hung up.") from None


async def _whole(content: StreamReader, largest: int) -> bytes:
    body = bytearray()
    while chunk := await content.readany():
        body += chunk
        _bounded(body, largest)
    return bytes(body)


def _bounded(body: Bytes, largest: int) -> Bytes:
    if len(body) > largest:
        raise _too_large(len(body), largest)
    return body


def _too_large(size: int, largest: int) -> Unread:
    said = errors.payload_too_large("The request body", size, largest)
    return Unread(said.problem.code, said.detail, extra=said.extra)
