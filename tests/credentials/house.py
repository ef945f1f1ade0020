"""A house with nothing but the credential commands: `python -m tests.credentials.house DIR keys issue …`."""

import sys
from pathlib import Path

import click

from bridge.cli.credentials import Stop
from bridge.cli.keys import keys
from bridge.cli.tokens import tokens
from bridge.cli.users import users


class House:
    """Knows two customers."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def customer(self, name: str) -> str:
        """Refuse others."""
        if name not in {"acme", "globex"}:
            raise Stop(f"There is no customer {name!r}; the nearest is 'acme'.")
        return name


@click.group(commands=[keys, tokens, users])
def commands() -> None:
    """Manage credentials."""


if __name__ == "__main__":
    commands(args=sys.argv[2:], obj=House(Path(sys.argv[1])))
