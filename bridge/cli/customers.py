"""Customers: which customer a command means."""

from typing import TYPE_CHECKING

import click

from bridge.cli.house import House, refuse

if TYPE_CHECKING:
    from bridge.words.settings import Customer

customer_option = click.option("--customer", metavar="C", help="The customer; not needed where only one is meant.")


def meant(house: House, name: str | None, *, with_crm: bool = False) -> "tuple[str, Customer]":
    """Find the customer that is meant: by name, else the only one that CloudSync concerns."""
    customers = house.settings().customers
    if name is not None:
        return house.customer(name), customers[name]
    concerned = [
        each for each, one in customers.items() if (one.cloudsync.crm is not None if with_crm else one.cloudsync.feeds)
    ]
    meant = concerned if len(concerned) == 1 else list(customers)
    if len(meant) != 1:
        refuse(f"Say which customer: --customer with one of {', '.join(sorted(customers)) or '(there is none)'}.")
    return meant[0], customers[meant[0]]
