"""`popbridge demo`: the bridge with a seeded customer, and what to try printed as it works."""

import sys
from typing import TYPE_CHECKING

import click

from bridge.cli.house import House, refuse

if TYPE_CHECKING:
    from bridge.words.settings import Settings


@click.command()
@click.option("--http", metavar="HOST:PORT", help="Where HTTP listens (loopback only).")
@click.option("--mqtt", metavar="HOST:PORT", help="Where MQTT listens (loopback only).")
@click.option("--simulator/--no-simulator", default=True, help="Whether the CloudSync simulator runs.")
@click.pass_obj
def demo(house: House, http: str | None, mqtt: str | None, *, simulator: bool) -> None:
    """Run the bridge with the customer acme, agents 1001 and 1002, and print commands that work as printed."""
    settings = _settings(house, http, mqtt)

    from bridge import seeded, service  # noqa: PLC0415 - `--help` must not pay for the whole house

    try:
        sys.exit(
            service.run(
                house.data / "broker.yaml",
                house.data,
                settings,
                demo=True,
                beside=lambda running: seeded.beside(running, house.data, simulator=simulator),
            )
        )
    except service.CannotStart as error:
        refuse(str(error))


def _settings(house: House, http: str | None, mqtt: str | None) -> "Settings":
    import msgspec  # noqa: PLC0415 - the same

    from bridge.config import ConfigError, demo_text, load  # noqa: PLC0415 - the same
    from bridge.words.settings import Address  # noqa: PLC0415 - the same

    path = house.data / "broker.yaml"
    try:
        if house.config is None and not path.exists():
            house.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_text(demo_text(), encoding="utf-8")
        settings = load(house.config or path)
        replace = msgspec.structs.replace
        if http is not None:
            settings = replace(settings, http=replace(settings.http, bind=Address.read(http)))
        if mqtt is not None:
            settings = replace(settings, mqtt=replace(settings.mqtt, bind=Address.read(mqtt)))
    except ConfigError as error:
        refuse(str(error))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for name, bind in (("http", settings.http.bind), ("mqtt", settings.mqtt.bind)):
        if not bind.loopback:
            refuse(f"The demo listens on loopback only: {name} is {bind}.")
    if "acme" not in settings.customers:
        refuse(f"{path} has no customer acme, which the demo needs; use another --data directory.")
    return settings
