"""What `keys`, `tokens` and `users` share: how their arguments are written, how a list looks, how they end."""

import json
import sys
import time
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from bridge.words import durations
from bridge.words.times import stamp

if TYPE_CHECKING:
    from bridge.credentials.authority import Credentials, Issued
    from bridge.credentials.registry import Credential

_T = TypeVar("_T")

LONGEST_LIFE = 3650 * 86_400.0
_LONGEST_NAME = 128
_PASSWORD_LENGTHS = (8, 1024)  # as bridge.credentials.passwords has them, whose import is slow


class House(Protocol):
    """What the command line knows before any command runs."""

    @property
    def data(self) -> Path:
        """The data directory."""

    def customer(self, name: str) -> str:
        """Check a customer against the configuration; end with exit code 3 if there is no such."""


class Stop(click.ClickException):
    """Ends a command with exit code 3: it was understood, and cannot be done."""

    exit_code = 3


def duration(text: str) -> float:
    """Read a length of time, in seconds, as the type of an option."""
    length = grace(text)
    if length == 0:
        raise click.BadParameter("it would end at once.")
    return length


def grace(text: str) -> float:
    """Read a length of time that may be 0."""
    try:
        length = durations.seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if length > LONGEST_LIFE:
        raise click.BadParameter(f"{text} is longer than {durations.spell(LONGEST_LIFE)}.")
    return length


def name(text: str) -> str:
    """Check a name that an operator gives, as the type of an option."""
    return _checked("the name", text)


def agent(text: str) -> str:
    """Check an agent id."""
    return _checked("the agent id", text)


def username(text: str) -> str:
    """Check a user name. Basic authentication ends it at the first colon."""
    return _checked("the user name", text, forbidden=":")


def what_is_wrong(text: str, forbidden: str = "") -> str | None:
    """Say what is wrong with an agent id or another name, as the end of a sentence; None if nothing is."""
    if not text:
        return "is empty"
    if len(text) > _LONGEST_NAME:
        return f"has {len(text)} characters, and at most {_LONGEST_NAME} are allowed"
    for place, character in enumerate(text, 1):
        if unicodedata.category(character) in {"Cc", "Cs"} or character in "\ufffe\uffff":
            return f"has the character U+{ord(character):04X} at place {place}, which is not allowed"
        if character in forbidden:
            return f"has a {character!r} at place {place}, which is not allowed"
    return None


def _checked(what: str, text: str, forbidden: str = "") -> str:
    wrong = what_is_wrong(text, forbidden)
    if wrong is not None:
        raise click.BadParameter(f"{what} {wrong}.")
    return text


customer_option = click.option("--customer", required=True, metavar="C", help="The customer, as in broker.yaml.")
only_customer_option = click.option("--customer", metavar="C", help="Only this customer's.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def run(house: House, work: Callable[["Credentials"], Awaitable[_T]]) -> _T:
    """Do one thing with the credentials in the data directory; what cannot be done ends with exit code 3."""
    import asyncio  # noqa: PLC0415 - `popbridge --help` must not wait for these

    from bridge.credentials.authority import Credentials  # noqa: PLC0415
    from bridge.credentials.refusals import CredentialsError  # noqa: PLC0415

    async def opened() -> _T:
        async with Credentials.open(house.data, follow=False) as credentials:
            return await work(credentials)

    try:
        return asyncio.run(opened())
    except CredentialsError as error:
        raise Stop(str(error)) from error


def say(sentence: str) -> None:
    """Tell the operator something, on stderr: stdout is for the secret or the list alone."""
    click.echo(sentence, err=True)


def hand_out(issued: "Sequence[Issued]", whose: Sequence[str]) -> None:
    """Print each secret alone on a line of stdout; what it is, on stderr."""
    for one, owner in zip(issued, whose, strict=True):
        say(f"{one.id}  {printable(owner)}  expires {stamp(one.expires)}")
    for one in issued:
        click.echo(one.token)  # a line is written whole or not at all, even where Python does not buffer


def password_from_stdin() -> str:
    """Read a new password: all of stdin, but for one newline at the end."""
    shortest, longest = _PASSWORD_LENGTHS
    raw = sys.stdin.buffer.read(4 * longest + 3)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise click.UsageError("The password on stdin is not UTF-8.") from None
    password = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not shortest <= len(password) <= longest:
        raise click.UsageError(f"The password on stdin must have {shortest} to {longest} characters.")
    return password


def print_credentials(credentials: "Sequence[Credential]", *, as_json: bool) -> None:
    """List credentials; never a secret."""
    from bridge.credentials.registry import LISTED  # noqa: PLC0415 - as above

    now = time.time()
    if as_json:
        click.echo(json.dumps([_record(one, now) for one in credentials], indent=2))
    else:
        headings = ("KIND", "ID", "CUSTOMER", "NAME/AGENT", "ISSUED", "EXPIRES", "STATE", "LAST USED")
        print_table(headings, [_line(one, now) for one in credentials])
    if len(credentials) == LISTED:
        say(f"Only the newest {LISTED} are listed: choose with --customer.")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns."""
    lines = [tuple(headings), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    click.echo(
        "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
    )


def printable(text: str) -> str:
    """Escape what would disturb a terminal: a name may hold, say, an override of the writing direction."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _record(one: "Credential", now: float) -> dict[str, str | int | bool]:
    record: dict[str, str | int | bool | None] = {
        "kind": one.role.value,
        "id": one.id,
        "customer": one.customer,
        "name": one.name,
        "agent": one.agent,
        "user": one.user,
        "issued": stamp(one.issued),
        "expires": stamp(one.expires),
        "state": one.state(now),
        "ends": None if one.ends is None else stamp(one.ends),
        "last_used": None if one.last_used is None else stamp(one.last_used),
        "last_address": one.last_address,
        "uses": one.uses,
        "demo": True if one.demo else None,
    }
    return {key: value for key, value in record.items() if value is not None}


def _line(one: "Credential", now: float) -> tuple[str, ...]:
    state = one.state(now)
    if one.ends is not None and state == "ending":
        state = f"ends {stamp(one.ends)}"
    if one.demo:
        state += " (demo)"
    used = "never" if one.last_used is None else f"{stamp(one.last_used)} {one.last_address} {one.uses}x"
    owner = one.agent or one.name or one.user or "-"
    return one.role.value, one.id, one.customer, owner, stamp(one.issued), stamp(one.expires), state, used
