"""The command agent-client: a desktop in a terminal."""

import asyncio
import ssl
import sys

import click
import msgspec

from agent_client.desktop import Desktop, NotAuthorised, State
from bridge.words.pop import Pop

DENIED = 5  # CONNACK's code for it, as mosquitto_sub does
TIMED_OUT = 27  # as mosquitto_sub does
INTERRUPTED = 130

LONGEST_LINE = 1_000


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Be an agent's desktop: receive the pops that the bridge sends to an agent."""


@main.command()
@click.option(
    "--server", required=True, metavar="URL", help="mqtt://HOST:PORT, mqtts://…, ws://HOST:PORT/mqtt or wss://…"
)
@click.option("--customer", required=True, metavar="C", help="The CustomerID.")
@click.option("--agent", required=True, metavar="A", help="The agent's id.")
@click.option(
    "--token",
    required=True,
    metavar="T",
    envvar="POPBRIDGE_TOKEN",
    show_envvar=True,
    help="The desktop token; better in the environment, where the process list does not show it.",
)
@click.option("--cti", metavar="ENV", help="Only this CTI environment, in the spelling of broker.yaml. Otherwise any.")
@click.option("-C", "count", type=click.IntRange(min=1), metavar="N", help="Exit with 0 after N pops.")
@click.option(
    "-W", "wait", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Exit with 27 after that long."
)
@click.option("--json", "documents", is_flag=True, help="Print the documents as they arrive, one a line.")
@click.option(
    "--cafile", type=click.Path(exists=True, dir_okay=False), help="Certificates to trust, for mqtts and wss."
)
def listen(
    *,
    server: str,
    customer: str,
    agent: str,
    token: str,
    cti: str | None,
    count: int | None,
    wait: float | None,
    documents: bool,
    cafile: str | None,
) -> None:
    """Print one line for each pop as it is shown.

    On standard error: connected, caught up (what was held has arrived), lost.

    Exit codes: 0 after -C pops; 2 for a wrong option; 5 where the token is not accepted; 27 when -W is over; 130 when
    interrupted.
    """
    try:
        tls = ssl.create_default_context(cafile=cafile) if cafile else None
        desktop = Desktop(server, customer, agent, token, cti=cti, tls=tls, on_state=_tell)
    except (ValueError, ssl.SSLError) as error:
        raise click.UsageError(str(error)) from None
    try:
        code = asyncio.run(_listen(desktop, count, wait, documents=documents))
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


async def _listen(desktop: Desktop, count: int | None, wait: float | None, *, documents: bool) -> int:
    try:
        async with asyncio.timeout(wait), desktop:
            taken = 0
            while count is None or taken < count:
                pop, document = await desktop.take()
                click.echo(document if documents else _encoded(line(pop)))
                taken += 1
    except TimeoutError:
        return TIMED_OUT
    except NotAuthorised as error:
        click.echo(f"not authorised: {error}", err=True)
        return DENIED
    return 0


def _tell(state: State, why: str) -> None:
    click.echo(f"{state}: {why}" if why else str(state), err=True)


def line(pop: Pop) -> str:
    """Spell a pop for people: when, what, then name=value; one line whatever the caller sent."""
    known = {"reference": pop.reference, "crmid": pop.crmid, "ctiid": pop.ctiid}
    told = [f"{name}={_short(value)}" for name, value in known.items() if value is not None]
    told += [f"{name}={_short(msgspec.json.decode(value))}" for name, value in pop.data.items()]
    text = "  ".join([pop.sent, pop.event or pop.campaign or "-", f"popid={pop.popid}", *told])
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"


def _encoded(text: str) -> bytes:
    # A pipe on Windows, or an old locale, may not know each character of a caller's data.
    return text.encode(sys.stdout.encoding or "utf-8", errors="backslashreplace")


def _short(value: object) -> str:
    if isinstance(value, str) and value and not value.isspace() and '"' not in value and " " not in value:
        return value
    return msgspec.json.encode(value).decode()
