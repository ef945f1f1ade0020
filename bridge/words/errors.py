"""Errors: every refusal a caller can get, in one table; each is raised where it is known and answered in one place."""

from collections.abc import Iterable, Mapping

import msgspec

from bridge.words.principal import Role


class Problem(msgspec.Struct, frozen=True):
    """One row of the table: HTTP status, stable code, title, and what the caller should do."""

    status: int
    code: str
    title: str
    hint: str


class Fault(Exception):  # noqa: N818 - a refusal that becomes an answer
    """A refusal. `extra` are further members of the answer, `headers` further header fields."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        extra: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = TABLE[code]
        self.detail = detail
        self.extra = extra or {}
        self.headers = headers or {}


_CHECKS = (
    "Check that the event name is typed correctly (case, length and spaces), that the workflow is published to that "
    "event, and that the published profile matches the CRM user's profile."
)
_KEY = "Check that you have the correct API key: copy it again, or issue a new one with `popbridge keys issue`."

TABLE: Mapping[str, Problem] = {
    row.code: row
    for row in (
        Problem(400, "malformed_body", "The request cannot be read", "Send what the detail asks for; nothing was published."),
        Problem(400, "missing_parameter", "A required parameter is missing", "Add the parameter, spelled in lower case."),
        Problem(400, "ambiguous_parameter", "A parameter has two values", "Send each reserved parameter once."),
        Problem(400, "invalid_parameter", "A parameter is out of its range", "Correct the value named in the detail."),
        Problem(401, "missing_key", "No API key", f"Send the API key as `jwt`, or as a Bearer token. {_KEY}"),
        Problem(401, "invalid_key", "The API key is not valid", _KEY),
        Problem(401, "invalid_credentials", "User name or password is wrong", "Check user name and password."),
        Problem(403, "forbidden", "This credential does not open this door", "Use a credential of the kind that the detail names."),
        Problem(404, "not_found", "There is nothing here", "Check the path; README lists every one."),
        Problem(404, "unknown_crmid", "The CRM instance is unknown", "Use the host name of a CRM instance listed in broker.yaml."),
        Problem(404, "feed_disabled", "This feed is not selected", "Add it to `cloudsync.feeds` of the customer in broker.yaml."),
        Problem(404, "unknown_event", "The event is unknown", _CHECKS),
        Problem(405, "method_not_allowed", "The method is not allowed here", "Use one of the methods in the Allow header."),
        Problem(409, "idempotency_in_flight", "The first request is still at work", "Ask again in a moment with the same key."),
        Problem(409, "too_late", "The pop is over", "Nothing is to be done: it was shown, refused or expired already."),
        Problem(422, "idempotency_mismatch", "The key belongs to another request", "Use a new idempotency key for a new request."),
        Problem(408, "request_timeout", "The request did not arrive in time", "Send the whole body within the time allowed."),
        Problem(413, "payload_too_large", "The request is too large", "Send less interaction data."),
        Problem(414, "uri_too_long", "The request line is too long", "Send the parameters by POST in the body."),
        Problem(415, "unsupported_encoding", "The content encoding is not supported", "Send the body uncompressed."),
        Problem(415, "unsupported_media_type", "The media type is not supported", "Send JSON or a form."),
        Problem(429, "rate_limited", "Too many attempts", "Wait as long as Retry-After says."),
        Problem(500, "internal_error", "The bridge failed", "Try again; the operator finds the reason in the bridge's log."),
        Problem(503, "overloaded", "The bridge is busy", "Try again as soon as Retry-After says; nothing was published."),
    )
}  # fmt: skip

_KINDS = {
    Role.KEY: "an API key",
    Role.DESKTOP: "a desktop token",
    Role.OBSERVER: "an observer token",
    Role.FEED: "a feed token",
    Role.ADMIN: "an admin token",
    Role.CLOUD: "an IdToken of the Cloud API",
    Role.ACCESS: "an AccessToken of the Cloud API",
    Role.REFRESH: "a RefreshToken of the Cloud API",
}

ADVICE = _CHECKS
"""The documents' three checks for an event that does not pop."""


def missing_parameter(name: str, why: str = "is required") -> Fault:
    """A reserved parameter is absent, empty or blank."""
    return Fault("missing_parameter", f"`{name}` {why}.")


def ambiguous_parameter(names: Iterable[str]) -> Fault:
    """One reserved parameter was given different values."""
    return Fault("ambiguous_parameter", f"{' and '.join(f'`{name}`' for name in names)}: different values were given.")


def invalid_parameter(name: str, why: str) -> Fault:
    """A value is outside what the parameter allows."""
    return Fault("invalid_parameter", f"`{name}` {why}.")


def malformed_body(what: str, line: int | None = None, column: int | None = None) -> Fault:
    """A request that cannot be read; line and column are 1-based and count characters."""
    if line is None or column is None:
        return Fault("malformed_body", f"{what}.")
    return Fault("malformed_body", f"{what} at line {line}, column {column}.", extra={"line": line, "column": column})


def payload_too_large(what: str, size: int, limit: int) -> Fault:
    """A body, or the payload to be published, exceeds its limit (bytes)."""
    return Fault(
        "payload_too_large",
        f"{what} has {size} bytes; at most {limit} are allowed.",
        extra={"size": size, "limit": limit},
    )


def unknown_crmid(host: str, nearest: str | None) -> Fault:
    """The customer has no such CRM instance."""
    return Fault("unknown_crmid", f"This customer has no CRM instance `{host}`{_meant(nearest)}.")


def unknown_event(event: str, difference: str) -> Fault:
    """The customer's catalogue does not list the event, and says to reject."""
    return Fault("unknown_event", f"This customer has no event `{event}`{difference}.")


def missing_key() -> Fault:
    """No credential came with the request."""
    return Fault("missing_key", "The request carries no API key.", headers={"WWW-Authenticate": "Bearer"})


def invalid_key(reason: str) -> Fault:
    """A credential that does not verify; `reason` is a word such as `expired`, never any part of the credential."""
    return Fault(
        "invalid_key",
        f"The credential was refused: {reason}. Please ensure that you have the correct API key.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def invalid_credentials(why: str) -> Fault:
    """User name or password does not fit; which of them is not told."""
    return Fault(
        "invalid_credentials", f"{why}.", headers={"WWW-Authenticate": 'Basic realm="popbridge", charset="UTF-8"'}
    )


def forbidden(why: str) -> Fault:
    """A valid credential at another's door."""
    return Fault("forbidden", f"{why}.")


def wrong_kind(roles: Iterable[Role]) -> Fault:
    """A valid credential of a kind that opens another door."""
    wanted = " or ".join(_KINDS[role] for role in roles)
    return forbidden(f"This credential is of another kind; this door takes {wanted}")


def method_not_allowed(method: str, allowed: str) -> Fault:
    """The path exists, the method does not."""
    return Fault("method_not_allowed", f"{method[:20]} is not allowed here; {allowed} are.", headers={"Allow": allowed})


def not_found(what: str) -> Fault:
    """There is no such thing, or it is another customer's."""
    return Fault("not_found", f"{what}.")


def too_late(status: str) -> Fault:
    """A pop cannot be recalled any more."""
    return Fault("too_late", f"The pop is {status}.")


def idempotency_in_flight() -> Fault:
    """The same key is at work."""
    return Fault("idempotency_in_flight", "A request with this idempotency key is still at work.")


def idempotency_mismatch() -> Fault:
    """The same key came with another request."""
    return Fault("idempotency_mismatch", "This idempotency key was used for a request that said something else.")


def overloaded(why: str) -> Fault:
    """A bound is reached."""
    return Fault("overloaded", f"{why}.", headers={"Retry-After": "1"})


def rate_limited(why: str, seconds: float) -> Fault:
    """The caller has to wait."""
    return Fault("rate_limited", f"{why}.", headers={"Retry-After": str(max(1, round(seconds + 0.5)))})


def _meant(nearest: str | None) -> str:
    return "" if nearest is None else f"; did you mean `{nearest}`?"
