"""popbridge keys: API keys, with which a telephony platform triggers pops; and the keys that sign everything."""

import click

from bridge.cli.credentials import (
    House,
    customer_option,
    duration,
    grace,
    hand_out,
    json_option,
    name,
    only_customer_option,
    print_credentials,
    run,
    say,
)
from bridge.words.principal import Role
from bridge.words.times import stamp

KINDS = frozenset({Role.KEY})


@click.group()
def keys() -> None:
    """API keys, and the keys that sign all credentials."""


@keys.command()
@customer_option
@click.option("--name", type=name, help="What you call it, for the list.")
@click.option("--expires", type=duration, default="365d", show_default=True, help="How long it is good for.")
@click.pass_obj
def issue(house: House, /, *, customer: str, name: str | None, expires: float) -> None:
    """Issue an API key; it alone is printed on stdout, once."""
    customer = house.customer(customer)
    issued = run(house, lambda credentials: credentials.issue(Role.KEY, customer, name=name, expires_in=expires))
    hand_out([issued], [f"API key of {customer}" if name is None else f"API key {name!r} of {customer}"])


@keys.command("list")
@only_customer_option
@json_option
@click.pass_obj
def list_(house: House, /, *, customer: str | None, as_json: bool) -> None:
    """List API keys, newest first; never the keys themselves."""
    only = None if customer is None else house.customer(customer)
    print_credentials(run(house, lambda credentials: credentials.list_credentials(KINDS, only)), as_json=as_json)


@keys.command()
@click.argument("key_id", metavar="KEYID")
@click.pass_obj
def revoke(house: House, /, *, key_id: str) -> None:
    """End an API key at once."""
    ended = run(house, lambda credentials: credentials.revoke(key_id, KINDS))
    say(f"{key_id} is revoked." if ended else f"{key_id} had ended already.")


@keys.command()
@click.argument("key_id", metavar="KEYID")
@click.option("--grace", type=grace, default="0s", show_default=True, help="How long the old key stays good.")
@click.pass_obj
def regenerate(house: House, /, *, key_id: str, grace: float) -> None:
    """Issue the successor of an API key, and end the old one."""
    issued, old = run(house, lambda credentials: credentials.regenerate(key_id, grace, KINDS))
    hand_out([issued], [f"API key of {old.customer}, successor of {key_id}"])
    say(f"{key_id} ends {stamp(old.expires if old.ends is None else old.ends)}.")


@keys.command("rotate-signing")
@click.pass_obj
def rotate_signing(house: House) -> None:
    """Sign with a new key from now on; what is issued stays good until it expires."""
    kid = run(house, lambda credentials: credentials.rotate_signing())
    say(f"New credentials are signed with {kid}. The old signing key is gone; what it signed stays good for its time.")
