"""Refusals: why a token is not accepted, and why something asked of the credentials cannot be done."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a token is refused: a word for logs and counters."""

    TOO_LONG = "too_long"
    MALFORMED = "malformed"  # not a token, or its header asks for what we never write: another alg, crit, jku
    UNKNOWN_KID = "unknown_kid"  # signed with a key that is not, or no longer, ours
    BAD_SIGNATURE = "bad_signature"
    BAD_CLAIMS = "bad_claims"  # a claim is missing, another issuer or audience, or not what was issued
    DEMO = "demo"  # issued by a demo
    EXPIRED = "expired"
    UNKNOWN_ID = "unknown_id"  # not in the registry, or not yet
    REVOKED = "revoked"
    WRONG_KIND = "wrong_kind"  # counts, but opens another door


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """A token is refused. `id` is the credential's where the signature was ours; the token itself is nowhere."""

    def __init__(self, reason: Reason, credential_id: str | None = None) -> None:
        super().__init__(reason.value if credential_id is None else f"{reason.value}: {credential_id}")
        self.reason = reason
        self.id = credential_id


class CredentialsError(Exception):
    """What was asked cannot be done; the text is a sentence for whoever asked."""


class UnknownIdError(CredentialsError):
    """No credential of the kinds in question has this id. `nearest` is one that exists."""

    def __init__(self, given: str, nearest: str | None) -> None:
        super().__init__(_unknown("credential of this kind has the id", given, nearest))
        self.nearest = nearest


class UnknownUserError(CredentialsError):
    """There is no user of this name, or the password was changed meanwhile. `nearest` is one that exists."""

    def __init__(self, given: str, nearest: str | None) -> None:
        super().__init__(_unknown("user has the name", given, nearest))
        self.nearest = nearest


class UserExistsError(CredentialsError):
    """User names are unique over all customers."""

    def __init__(self, username: str) -> None:
        super().__init__(f"There is a user {username!r} already; names are unique over all customers.")


class EndedError(CredentialsError):
    """A revoked credential is not regenerated."""

    def __init__(self, credential_id: str) -> None:
        super().__init__(f"{credential_id} was revoked and cannot be regenerated: issue a new one.")


class TooManyError(CredentialsError):
    """The registry is full."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"There are {limit} live credentials already: revoke some, or let them expire.")


class UnusableError(CredentialsError):
    """The files in the data directory cannot be used."""


class OverloadedError(Exception):
    """Too many passwords wait for their check: try again in a second."""


def _unknown(what: str, given: str, nearest: str | None) -> str:
    if nearest is None:
        return f"No {what} {given!r}: there is none at all."
    return f"No {what} {given!r}; the nearest is {nearest!r}."
