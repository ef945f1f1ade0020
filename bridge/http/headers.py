"""Headers: what doors read from a request's header fields."""

import re

from aiohttp import web

from bridge.connect import controls
from bridge.words import errors
from bridge.words.trigger import Controls

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def read_controls(request: web.BaseRequest, given: dict[str, str]) -> Controls:
    """Read the controls from `pop_…` parameters and the header fields that say the same."""
    return controls.read(given, _preferred_wait(request), idempotency_key(request))


def preference_applied(request: web.BaseRequest, wanted: Controls) -> dict[str, str]:
    """Tell which preference was honoured (RFC 7240): none in a dry run, or where `pop_wait` says otherwise."""
    if wanted.dryrun or _preferred_wait(request) != wanted.wait:
        return {}
    return {"Preference-Applied": f"wait={wanted.wait:g}"}


def query(request: web.BaseRequest) -> str:
    """Give the query as it came: aiohttp's own decoding turns what is not UTF-8 into U+FFFD."""
    return request.raw_path.partition("#")[0].partition("?")[2]


def by_proxy(request: web.BaseRequest) -> bool:
    """Say whether a proxy passed the request on: it speaks for others."""
    return "Forwarded" in request.headers or "X-Forwarded-For" in request.headers


def traceparent(request: web.BaseRequest) -> str | None:
    """Pass on a W3C trace context that is well-formed; anything else is dropped."""
    said = request.headers.get("traceparent")
    return said if said is not None and _TRACEPARENT.fullmatch(said) else None


def idempotency_key(request: web.BaseRequest) -> str | None:
    """Give the idempotency key; two different ones are refused."""
    said = request.headers
    if "Idempotency-Key" not in said and "I-Twilio-Idempotency-Token" not in said:
        return None
    keys: set[str] = {*said.getall("Idempotency-Key", ()), *said.getall("I-Twilio-Idempotency-Token", ())}
    if len(keys) > 1:
        raise errors.invalid_parameter("Idempotency-Key", "came with two different values")
    return keys.pop()


def _preferred_wait(request: web.BaseRequest) -> float | None:
    fields = request.headers.getall("Prefer", None)
    return None if fields is None else controls.preferred_wait(", ".join(fields))
