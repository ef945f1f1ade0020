"""`popbridge serve`: run the bridge until SIGTERM."""

import sys

import click

from bridge.cli.house import House, refuse


@click.command()
@click.pass_obj
def serve(house: House) -> None:
    """Run the bridge. Prints one line on stdout, `popbridge ready http=HOST:PORT mqtt=HOST:PORT`, when all answers."""
    settings = house.settings()

    from bridge import service  # noqa: PLC0415 - `--help` must not pay for the whole house

    try:
        sys.exit(service.run(house.config_path(), house.data, settings))
    except service.CannotStart as error:
        refuse(str(error))
