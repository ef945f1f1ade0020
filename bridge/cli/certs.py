"""`popbridge certs`: certificates for trying TLS."""

import click

from bridge.cli.house import House


@click.group()
def certs() -> None:
    """Make certificates for development."""


@certs.command()
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="A name or address to be valid for; repeatable.")
@click.pass_obj
def dev(house: House, hosts: tuple[str, ...]) -> None:
    """Make a self-signed certificate and its key in the data directory, and say what to put into broker.yaml."""
    from bridge.certificates import make_development_pair  # noqa: PLC0415 - `--help` must not pay for it

    certificate, key = make_development_pair(house.data, hosts or ("localhost", "127.0.0.1", "::1"))
    click.echo(f"{certificate}\n{key}")
    click.echo("Put this under `http:` and `mqtt:` in broker.yaml; clients need the certificate to trust it:", err=True)
    click.echo(f"  tls: {{certificate: {certificate.absolute()}, key: {key.absolute()}}}", err=True)
