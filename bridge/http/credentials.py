"""Credentials at the HTTP doors: where a request may carry one, and what it must be."""

import base64
import binascii

from aiohttp import web

from bridge.words import errors

LONGEST = 8192


def of_trigger(request: web.BaseRequest, parameter: str | None) -> str:
    """Take the API key from the `jwt` parameter, X-API-Key, a Bearer token or the Basic password, in this order."""
    key = parameter or request.headers.get("X-API-Key") or bearer(request) or _password(request)
    if not key or key.isspace():
        raise errors.missing_key()
    return _bounded(key)


def of_reader(request: web.BaseRequest) -> str:
    """Take the token of whoever reads or steers: a Bearer token, nothing else."""
    token = bearer(request)
    if not token:
        raise errors.missing_key()
    return _bounded(token)


def bearer(request: web.BaseRequest) -> str | None:
    """Take the token of `Authorization: Bearer`."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def basic(request: web.BaseRequest) -> tuple[str, str] | None:
    """Take user name and password of `Authorization: Basic` (RFC 7617, UTF-8); None where there is none to read."""
    scheme, _, encoded = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "basic" or len(encoded) > LONGEST:
        return None
    try:
        user, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if separator else None


def _bounded(token: str) -> str:
    if len(token) > LONGEST:
        raise errors.invalid_key("it has more than 8 KB")
    return token


def _password(request: web.BaseRequest) -> str | None:
    found = basic(request)
    return found[1] if found else None
