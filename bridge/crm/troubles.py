"""Troubles: what can go wrong with the CRM, in one table: what it means, and which setting to change.

What the CRM says is compared with the table and never repeated: it may quote what it was sent.
"""

# ruff: noqa: E501 - a table reads as one row a line

import re

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One trouble. `saying` is in the CRM's own description, in lower case; "" fits any. Else `code` is a word of ours.

    A permanent one stays until somebody changes the setting.
    """

    code: str
    saying: str
    permanent: bool
    means: str
    change: str


class Trouble(Exception):  # noqa: N818 - a failure that the table explains
    """The CRM could not be asked. `retry_after`: seconds, if it said so. `token`: no token could be had."""

    def __init__(self, row: Row, detail: str = "", *, retry_after: float | None = None, token: bool = False) -> None:
        super().__init__(f"{row.code}: {row.means}{f' ({detail})' if detail else ''}. {row.change}")
        self.row = row
        self.retry_after = retry_after
        self.token = token

    @property
    def permanent(self) -> bool:
        """Whether asking again is of no use before a setting has changed."""
        return self.row.permanent


_APP = (
    "In App Manager, Manage, Edit Policies, set Permitted Users to `Admin approved users are pre-authorized`; under "
    "Manage Profiles select `Minimum Access - API Only Integration`; assign the permission set to the user."
)
_CERTIFICATE = (
    "Upload the cloudsync.crt of this data directory to the connected app (Use digital signatures, Choose File): it "
    "holds another certificate."
)
_AUDIENCE = "Set `sandbox` to what the tenant is, or `audience` to the host that the CRM expects, scheme included."
_KEY = "Copy the Consumer Key again (App Manager, View, Manage Consumer Details) into `consumer_key`."
_USER = "Set `user_id` to the Username of the integration's user, as the All Users screen shows it, and activate it."
_ENDPOINT = "Set `token_endpoint` (or `sandbox`) to the tenant's /services/oauth2/token."
_RIGHTS = "Give the permission set read access to the object and its fields, and assign it to the integration's user."

TABLE = (
    Row("invalid_grant", "hasn't approved", True, "the user is not pre-authorised for the connected app", _APP),
    Row("invalid_grant", "not approved", True, "the user is not pre-authorised for the connected app", _APP),
    Row("invalid_grant", "not admin approved", True, "the user is not pre-authorised for the connected app", _APP),
    Row("invalid_grant", "audience", True, "the CRM expects another audience", _AUDIENCE),
    Row("invalid_grant", "assertion", True, "the signature does not fit the certificate at the connected app", _CERTIFICATE),
    Row("invalid_grant", "signature", True, "the signature does not fit the certificate at the connected app", _CERTIFICATE),
    Row("invalid_grant", "expired", True, "the CRM takes the assertion for expired", "Set this machine's clock (NTP)."),
    Row("invalid_grant", "ip restricted", True, "this machine's address is not allowed", "Add it to the trusted ranges, or relax IP restrictions in the app's policies."),
    Row("invalid_grant", "user", True, "there is no such user, or it is inactive", _USER),
    Row("invalid_grant", "", True, "the CRM refuses user, audience or signature", f"{_USER} {_AUDIENCE} {_CERTIFICATE}"),
    Row("inactive_user", "", True, "the integration's user is inactive", _USER),
    Row("invalid_client_id", "", True, "the CRM does not know the consumer key", _KEY),
    Row("invalid_client", "", True, "the connected app is refused", f"{_KEY} {_CERTIFICATE} A new app takes up to 10 minutes."),
    Row("invalid_app_access", "", True, "the user is not pre-authorised for the connected app", _APP),
    Row("unauthorized_client", "", True, "the user is not pre-authorised for the connected app", _APP),
    Row("unsupported_grant_type", "", True, "the endpoint does not take the JWT bearer grant", f"{_ENDPOINT} See that the connected app has `Use digital signatures`."),
    Row("login_page", "", True, "a page came instead of JSON: this is no token endpoint", _ENDPOINT),
    Row("redirected", "", True, "the CRM sends elsewhere: this is not the tenant's host", _ENDPOINT),
    Row("unreadable", "", True, "the answer is not what the platform answers", f"{_ENDPOINT} Check `records_path` and `query_path`."),
    Row("insecure", "", True, "the address is neither HTTPS nor on this machine", "Set `token_endpoint` and `instance` to https:// addresses."),
    Row("bad_path", "", True, "a path template cannot be filled", "Set `records_path` to a path with {entity} and {ids} (or {id}), `query_path` to one with {query}."),
    Row("bad_key", "", True, "cloudsync.key cannot be used", "Run `popbridge cloudsync keypair`, and upload the new cloudsync.crt."),
    Row("refused_token", "", True, "the CRM refuses the token that it gave", "Set `instance` to the tenant's host; see that the scope `Manage user data via APIs (api)` is selected."),
    Row("no_access", "", True, "the integration's user may not read this", _RIGHTS),
    Row("no_such_path", "", True, "there is no such object or path at the CRM", "Correct `records_path` or `query_path`, or leave the entity out of `entities`."),
    Row("refused_request", "", True, "the CRM does not understand the request", "Correct `records_path` or `query_path`."),
    Row("limit_exceeded", "", False, "the tenant's API limit is used up", "Wait, or raise the tenant's API limit."),
    Row("too_many_requests", "", False, "the CRM asks for fewer requests", "Nothing is to be done; it is asked again later."),
    Row("server_error", "", False, "the CRM fails", "Nothing is to be done; it is asked again later."),
    Row("too_large", "", False, "the answer is larger than 32 MiB", "Set `batch` lower."),
    Row("not_stored", "", False, "the store cannot take the answer now", "Nothing is to be done; it is asked again later."),
    Row("time_out", "", False, "no answer came in time", "Let this machine reach the CRM's host (firewall, proxy), or raise `timeout`."),
    Row("no_connection", "", False, "the CRM's host cannot be reached", "Check the host's name, and let this machine reach it (DNS, firewall, proxy)."),
    Row("no_tls", "", False, "the CRM's certificate cannot be verified", "Check that nothing between this machine and the CRM ends TLS; set this machine's clock."),
)  # fmt: skip

_CODE = re.compile(r"[a-z_]{1,40}")


def named(code: str, detail: str = "", *, retry_after: float | None = None, token: bool = False) -> Trouble:
    """Give the trouble with one of our own words; `detail` is ours, too."""
    row = next(row for row in TABLE if row.code == code)
    return Trouble(row, detail, retry_after=retry_after, token=token)


def denied(error: str, description: str, status: int) -> Trouble:
    """Find what a token endpoint means by its `error` and `error_description`."""
    said = description.lower()
    for row in TABLE:
        if row.code == error and row.saying in said:
            return Trouble(row, token=True)
    if status >= 500:
        return named("server_error", f"status {status}", token=True)
    word = error if _CODE.fullmatch(error) else f"status {status}"
    return Trouble(Row(word, "", True, "the CRM refuses to give a token", f"{_APP} {_ENDPOINT}"), token=True)
