"""The `popbridge` command."""

import importlib
from collections.abc import Callable

import click

from bridge import __version__
from bridge.cli.house import House, LazyGroup


def _from(module: str, name: str) -> Callable[[], click.Command]:
    def load() -> click.Command:
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{name} is not a command")
        return command

    return load


@click.group(
    cls=LazyGroup,
    rooms={
        "serve": ("Run the bridge.", _from("bridge.cli.serve", "serve")),
        "demo": ("Run the bridge with a seeded customer and print what to try.", _from("bridge.cli.demo", "demo")),
        "check-config": ("Check broker.yaml.", _from("bridge.cli.check_config", "check_config")),
        "certs": ("Make certificates for development.", _from("bridge.cli.certs", "certs")),
        "keys": ("Issue, list, revoke, regenerate API keys; rotate the signing key.", _from("bridge.cli.keys", "keys")),
        "tokens": ("Issue, list, revoke tokens of desktops, observers, feeds.", _from("bridge.cli.tokens", "tokens")),
        "cloudsync": ("Connect a CRM, see what it gives, compute again.", _from("bridge.cli.cloudsync", "cloudsync")),
        "users": ("Add, list, remove users of the Cloud API and of desktops.", _from("bridge.cli.users", "users")),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="popbridge")
@click.pass_context
def main(context: click.Context) -> None:
    """popbridge: one HTTP request pops the right screen on an agent's desktop."""
    context.ensure_object(House)
