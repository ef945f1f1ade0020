"""popbridge users: who logs in with a password: Cloud API users, and people at agents' desktops."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bridge.cli.credentials import (
    House,
    agent,
    customer_option,
    json_option,
    only_customer_option,
    password_from_stdin,
    print_table,
    printable,
    run,
    say,
    username,
)
from bridge.words.times import stamp

if TYPE_CHECKING:
    from bridge.credentials.users import User

_password_option = click.option(
    "--password-stdin",
    is_flag=True,
    required=True,
    expose_value=False,
    help="Read the password from stdin: on a command line others could see it.",
)


_named_option = click.option("--username", "named", type=username, help="The same as USERNAME.")
_name_argument = click.argument("username", type=username, required=False)
_customer_option = click.option("--customer", metavar="C", help="Only if it is this customer's.")


@click.group()
def users() -> None:
    """Users who log in with a password."""


@users.command()
@customer_option
@click.option("--username", type=username, required=True, help="Unique over all customers.")
@click.option("--agent", type=agent, help="For a person: whose desktop they open. Without: a Cloud API user.")
@_password_option
@click.pass_obj
def add(house: House, /, *, customer: str, username: str, agent: str | None) -> None:
    """Add a Cloud API user, or a person at an agent's desktop."""
    customer = house.customer(customer)
    password = password_from_stdin()
    user = run(house, lambda credentials: credentials.add_user(username, password, customer, agent))
    what = "may use the Cloud API" if agent is None else f"opens the desktop of agent {printable(agent)}"
    say(f"{printable(user.username)} of {customer} {what}.")


@users.command("list")
@only_customer_option
@json_option
@click.pass_obj
def list_(house: House, /, *, customer: str | None, as_json: bool) -> None:
    """List the users by name; never a password."""
    only = None if customer is None else house.customer(customer)
    found = run(house, lambda credentials: credentials.list_users(only))
    if as_json:
        click.echo(json.dumps(_records(found), indent=2))
        return
    headings = ("KIND", "USERNAME", "CUSTOMER", "AGENT", "CREATED", "UPDATED")
    print_table(
        headings,
        [
            (one.kind.value, one.username, one.customer, one.agent or "-", stamp(one.created), stamp(one.updated))
            for one in found
        ],
    )


@users.command()
@_name_argument
@_named_option
@_customer_option
@click.pass_obj
def remove(house: House, /, *, username: str | None, named: str | None, customer: str | None) -> None:
    """Remove a user, and end what their logins gave."""
    who = _one(username, named)
    only = None if customer is None else house.customer(customer)
    ended = run(house, lambda credentials: credentials.remove_user(who, only))
    say(f"{printable(who)} is removed; {ended} tokens ended.")


@users.command()
@_name_argument
@_named_option
@_customer_option
@_password_option
@click.pass_obj
def passwd(house: House, /, *, username: str | None, named: str | None, customer: str | None) -> None:
    """Change a password, and end what logins with the old one gave."""
    who = _one(username, named)
    only = None if customer is None else house.customer(customer)
    password = password_from_stdin()
    ended = run(house, lambda credentials: credentials.set_password(who, password, only))
    say(f"{printable(who)} has a new password; {ended} tokens ended.")


def _one(argument: str | None, option: str | None) -> str:
    given = {name for name in (argument, option) if name is not None}
    if len(given) != 1:
        raise click.UsageError("Name one user.")
    return given.pop()


def _records(found: "Sequence[User]") -> list[dict[str, str]]:
    return [
        {"kind": one.kind.value, "username": one.username, "customer": one.customer}
        | ({} if one.agent is None else {"agent": one.agent})
        | {"created": stamp(one.created), "updated": stamp(one.updated)}
        for one in found
    ]
