"""Origins: which web pages may call. No Origin or the own host's is accepted, another only if a customer lists it."""

from collections.abc import Mapping

from aiohttp import web

from bridge.words import errors
from bridge.words.settings import Customer

_METHODS = "GET, POST, OPTIONS"
_FIELDS = "Authorization, Content-Type, Idempotency-Key, Prefer, X-API-Key"


def foreign(request: web.BaseRequest, customers: Mapping[str, Customer]) -> str | None:
    """Give the request's Origin if it is another host's; raise `forbidden` unless some customer lists it."""
    origin = request.headers.get("Origin")
    if origin is None or origin.partition("://")[2].lower() == request.headers.get("Host", "").lower():
        return None
    if not any(customer.lists(origin) for customer in customers.values()):
        raise errors.forbidden("No customer lists the web page's origin under `origins` in broker.yaml")
    return origin


def check(request: web.BaseRequest, customers: Mapping[str, Customer], customer: Customer) -> None:
    """Raise `forbidden` for another host's page unless this very customer, whose credential it is, lists it."""
    origin = foreign(request, customers)
    if origin is not None and not customer.lists(origin):
        raise errors.forbidden("The credential's customer does not list the web page's origin")


def headers(origin: str | None, *, preflight: bool = False) -> dict[str, str]:
    """Give the header fields that let a listed page read the answer; never a wildcard, never credentials."""
    if origin is None:
        return {"Vary": "Origin"}
    fields = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    if preflight:
        fields |= {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _FIELDS,
            "Access-Control-Max-Age": "600",
        }
    return fields
