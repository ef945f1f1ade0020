"""popbridge tokens: for desktops, observers, feeds and admins."""

from typing import TextIO

import click

from bridge.cli.credentials import (
    House,
    agent,
    customer_option,
    duration,
    hand_out,
    json_option,
    only_customer_option,
    print_credentials,
    run,
    say,
    what_is_wrong,
)
from bridge.words.principal import Role

ISSUED = (Role.DESKTOP, Role.OBSERVER, Role.FEED, Role.ADMIN)
KINDS = frozenset({*ISSUED, Role.CLOUD, Role.ACCESS, Role.REFRESH})  # logins mint the others
MOST_AT_ONCE = 100_000


@click.group()
def tokens() -> None:
    """Tokens of desktops, observers, feeds and admins."""


@tokens.command()
@customer_option
@click.option("--role", type=click.Choice([role.value for role in ISSUED]), required=True, help="What it opens.")
@click.option("--agent", type=agent, help="Whose desktop; only with --role desktop.")
@click.option(
    "--agents", type=click.File(encoding="utf-8"), help="A file of agent ids, one a line, or -: prints a token a line."
)
@click.option("--expires", type=duration, default="12h", show_default=True, help="How long it is good for.")
@click.pass_obj
def issue(
    house: House, /, *, customer: str, role: str, agent: str | None, agents: TextIO | None, expires: float
) -> None:
    """Issue a token, or one for each agent; they alone are printed on stdout, once."""
    kind = Role(role)
    given = (agent is not None) + (agents is not None)
    if kind is Role.DESKTOP and given != 1:
        raise click.UsageError("A desktop's token needs --agent or --agents, and not both.")
    if kind is not Role.DESKTOP and given:
        raise click.UsageError(f"--agent and --agents are for --role desktop; a token for {role} has no agent.")
    ids = [agent] if agent is not None else [] if agents is None else _read_ids(agents)
    customer = house.customer(customer)
    if kind is Role.DESKTOP:
        issued = run(house, lambda credentials: credentials.issue_many(kind, customer, ids, expires_in=expires))
        hand_out(issued, [f"desktop of {customer}/{one}" for one in ids])
    else:
        hand_out(
            [run(house, lambda credentials: credentials.issue(kind, customer, expires_in=expires))],
            [f"{role} of {customer}"],
        )


@tokens.command("list")
@only_customer_option
@json_option
@click.pass_obj
def list_(house: House, /, *, customer: str | None, as_json: bool) -> None:
    """List tokens, newest first; never the tokens themselves."""
    only = None if customer is None else house.customer(customer)
    print_credentials(run(house, lambda credentials: credentials.list_credentials(KINDS, only)), as_json=as_json)


@tokens.command()
@click.argument("token_id", metavar="ID")
@click.pass_obj
def revoke(house: House, /, *, token_id: str) -> None:
    """End a token at once, with the connections that were opened by it."""
    ended = run(house, lambda credentials: credentials.revoke(token_id, KINDS))
    say(f"{token_id} is revoked." if ended else f"{token_id} had ended already.")


def _read_ids(agents: TextIO) -> list[str]:
    ids: list[str] = []
    try:
        # A line at a time and never a longer one than an id can be, so that a wrong file does not fill the memory.
        while line := agents.readline(1024):
            one = line.removesuffix("\n")
            wrong = what_is_wrong(one)
            if wrong is not None:
                raise click.UsageError(f"--agents, line {len(ids) + 1}: the agent id {wrong}.")
            ids.append(one)
            if len(ids) > MOST_AT_ONCE:
                raise click.UsageError(f"--agents: there are more than {MOST_AT_ONCE} ids; issue them in parts.")
    except UnicodeDecodeError:
        raise click.UsageError("--agents: the ids are not UTF-8.") from None
    if not ids:
        raise click.UsageError("--agents: there is no agent id.")
    return ids
