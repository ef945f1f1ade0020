"""`popbridge check-config`: read broker.yaml as `serve` would, and say what is in it."""

import click

from bridge.cli.house import House


@click.command("check-config")
@click.pass_obj
def check_config(house: House) -> None:
    """Check broker.yaml: exit 0 if it is right, else 3 with file, line, column and the nearest name."""
    settings = house.settings()
    click.echo(f"{house.config_path()}: ok")
    click.echo(f"http {settings.http.bind}, mqtt {settings.mqtt.bind}")
    for name, customer in settings.customers.items():
        click.echo(
            f"customer {name}: {len(customer.crm) or 'any'} CRM, {len(customer.cti)} CTI, "
            f"{len(customer.events) or 'any'} events (unknown: {customer.unknown_event})"
        )
