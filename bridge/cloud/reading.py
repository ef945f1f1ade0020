"""Reading: what a Cloud API request says. Members are spelled as the vendor's document spells them."""

import msgspec

from bridge.connect import jsontext
from bridge.words import errors

USERNAME, CAMPAIGN, REFERENCE, DATA = "Username", "Campaign", "Reference", "ScriptData"

Members = dict[str, msgspec.Raw]


class CloudPop(msgspec.Struct, frozen=True):
    """The body of a pop request; `data` keeps the caller's spelling."""

    username: str
    campaign: str
    reference: str | None
    data: dict[str, msgspec.Raw]


def read_members(body: bytes) -> Members:
    """Read the object that a body is; raise `malformed_body`."""
    members, _ = jsontext.read_object(body)
    return members


def read_pop(members: Members) -> CloudPop:
    """Read a pop request; raise `missing_parameter` or `invalid_parameter`."""
    raw = members.get(DATA)
    data: Members = {}
    if raw is not None and bytes(raw) != b"null":
        if not bytes(raw).startswith(b"{"):
            raise errors.invalid_parameter(DATA, "must be an object")
        data = msgspec.json.decode(raw, type=Members)
    return CloudPop(_required(members, USERNAME), _required(members, CAMPAIGN), _text(members, REFERENCE) or None, data)


def read_refresh(body: bytes) -> str:
    """Read the RefreshToken out of a refresh request."""
    return _required(read_members(body), "RefreshToken")


def _required(members: Members, name: str) -> str:
    text = _text(members, name)
    if not text or text.isspace():
        raise errors.missing_parameter(name)
    return text


def _text(members: Members, name: str) -> str:
    """Give a member as text: a number or boolean as spelled, null and absent as nothing."""
    spelled = bytes(members.get(name, b"null"))
    match spelled[:1]:
        case b'"':
            return msgspec.json.decode(spelled, type=str)
        case b"n":
            return ""
        case b"{" | b"[":
            raise errors.invalid_parameter(name, "must be text, not an object or a list")
        case _:
            return spelled.decode()
