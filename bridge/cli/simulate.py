"""`popbridge cloudsync simulate`: be a CloudSync, for trying and testing."""

import asyncio
import datetime as dt
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bridge.cli.customers import customer_option, meant
from bridge.cli.house import House, refuse

if TYPE_CHECKING:
    from bridge.cloudsync.simulator.runner import Plan


@click.command()
@customer_option
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same events.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The first day (default: today).")
@click.option("--days", type=click.IntRange(0), default=1, show_default=True, help="How many; 0: for ever.")
@click.option("--speed", type=click.FloatRange(0), default=1.0, show_default=True, help="1: real time; 0: at once.")
@click.option("--mqtt", metavar="HOST:PORT", help="Where to publish (default: broker.yaml's).")
@click.option("--http", metavar="URL", help="POST to this bridge instead.")
@click.option("--out", type=click.File("wb"), help="Write the events here instead, one a line (`-`: stdout).")
@click.option("--token-file", type=click.File("r"), help="A feed token (default: one is issued here, for a day).")
@click.option("--truth", type=click.File("wb"), help="Write the ground truth here, one record a line.")
@click.option("--mapping", type=click.File("wb"), help="Write users, groups and statuses here.")
@click.option("--crm", metavar="HOST:PORT", help="Answer the token endpoint and GETs here.")
@click.option("--groups", type=click.IntRange(1, 500), default=3, show_default=True)
@click.option("--agents", type=click.IntRange(1, 20_000), default=25, show_default=True)
@click.option("--tickets", type=click.IntRange(0, 1_000_000), default=600, show_default=True, help="A day.")
@click.option("--sessions", type=click.IntRange(0, 1_000_000), default=1500, show_default=True, help="A day.")
@click.option("--dialect", "dialects", type=click.Choice(["cometd", "pubsub", "topic"]), multiple=True)
@click.option("--doubled", type=click.FloatRange(0, 1), default=0.0, help="Fraction told by a PushTopic too.")
@click.option("--duplicates", type=click.FloatRange(0, 1), default=0.0, help="Fraction sent twice.")
@click.option("--disorder", type=click.FloatRange(0), default=0.0, help="Seconds that each may be late.")
@click.option("--late", type=click.FloatRange(0, 1), default=0.0, help="Fraction up to 3 hours late.")
@click.option("--gaps", type=click.FloatRange(0, 1), default=0.0, help="Fraction of updates as GAP_UPDATE.")
@click.option("--bitmaps", type=click.FloatRange(0, 1), default=0.0, help="Fraction of changedFields as bitmaps.")
@click.option("--short-ids", type=click.FloatRange(0, 1), default=0.0, help="Fraction with ids of 15 characters.")
@click.option("--merged", is_flag=True, help="Tickets closed together come as one event.")
@click.pass_obj
def simulate(house: House, /, customer: str | None, **options: Any) -> None:
    """Be a CloudSync: publish a contact centre's events, by MQTT, by HTTP or into a file."""
    plan = _plan(options)
    if options["truth"] is not None and plan.days == 0:
        raise click.UsageError("--truth needs a number of --days.")
    _write_truth(plan, options["truth"], options["mapping"])
    try:
        asyncio.run(_simulate(house, customer, plan, options))
    except KeyboardInterrupt:
        sys.exit(130)


def _plan(options: dict[str, Any]) -> "Plan":
    from bridge.cloudsync.simulator.centre import Size  # noqa: PLC0415 - as above
    from bridge.cloudsync.simulator.mischief import Mischief  # noqa: PLC0415
    from bridge.cloudsync.simulator.runner import Plan  # noqa: PLC0415

    wrong = ("doubled", "duplicates", "disorder", "late", "gaps", "bitmaps", "short_ids", "merged")
    return Plan(
        seed=options["seed"],
        first=(options["day"] or dt.datetime.now(dt.UTC)).date(),
        days=options["days"],
        size=Size(**{name: options[name] for name in ("groups", "agents", "tickets", "sessions")}),
        mischief=Mischief(dialects=options["dialects"] or ("cometd",), **{name: options[name] for name in wrong}),
    )


def _write_truth(plan: "Plan", truth: Any, mapping: Any) -> None:
    import msgspec  # noqa: PLC0415 - as above

    from bridge.cloudsync.simulator import book  # noqa: PLC0415
    from bridge.cloudsync.simulator.centre import Centre  # noqa: PLC0415

    days = [plan.first + dt.timedelta(days=number) for number in range(max(plan.days, 1))]
    if mapping is not None:
        told: dict[str, list[object]] = {}
        for (entity, _), record in Centre(plan.seed, plan.first, plan.size).world.records().items():
            told.setdefault(entity, []).append(record)
        mapping.write(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    if truth is not None:
        for day in days:
            for line in book.write(Centre(plan.seed, day, plan.size).truth()):
                truth.write(line)
        truth.flush()


async def _simulate(house: House, customer: str | None, plan: "Plan", options: dict[str, Any]) -> None:
    from contextlib import AsyncExitStack  # noqa: PLC0415 - as above

    from bridge.cloudsync.simulator import runner, senders, world  # noqa: PLC0415
    from bridge.cloudsync.simulator.endpoints import App, Endpoints  # noqa: PLC0415
    from bridge.cloudsync.simulator.shelf import Shelf  # noqa: PLC0415

    shelf = Shelf(world.make(plan.seed, plan.size.groups, plan.size.agents))
    async with AsyncExitStack() as stack:
        try:
            if options["crm"] is not None:
                host, port = _address(options["crm"])
                endpoints = await stack.enter_async_context(Endpoints(App(), shelf).running(host, port))
                _tell_how_to_ask(endpoints)
            send = await stack.enter_async_context(await _sender(house, customer, options))
            sent = await runner.play(plan, send, speed=options["speed"], shelf=shelf)
        except senders.CannotSendError as error:
            refuse(str(error))
        click.echo(f"{sent} events were sent.", err=True)


async def _sender(house: House, customer: str | None, options: dict[str, Any]) -> Any:
    from bridge.cloudsync.simulator import senders  # noqa: PLC0415 - as above

    if options["out"] is not None:
        return _to_file(options["out"])
    name, _ = meant(house, customer)
    token = options["token_file"].read().strip() if options["token_file"] else await _feed_token(house, name)
    if options["http"] is not None:
        return senders.by_http(options["http"], token)
    host, port = _address(options["mqtt"] or str(house.settings().mqtt.bind))
    return senders.by_mqtt(host, port, name, token)


def _to_file(file: Any) -> Any:
    from contextlib import asynccontextmanager  # noqa: PLC0415 - as above

    import msgspec  # noqa: PLC0415

    @asynccontextmanager
    async def writing() -> Any:
        async def send(events: Sequence[Any]) -> None:
            for event in events:
                told = {"at": event.at, "channel": event.channel, "payload": msgspec.Raw(event.payload)}
                file.write(msgspec.json.encode(told) + b"\n")
            file.flush()

        yield send

    return writing()


async def _feed_token(house: House, customer: str) -> str:
    from bridge.credentials.authority import Credentials  # noqa: PLC0415 - as above
    from bridge.credentials.refusals import CredentialsError  # noqa: PLC0415
    from bridge.words.principal import Role  # noqa: PLC0415

    try:
        async with Credentials.open(house.data, follow=False) as credentials:
            issued = await credentials.issue(Role.FEED, customer, name="simulator", expires_in=86_400.0)
    except CredentialsError as error:
        refuse(str(error))
    return issued.token


def _tell_how_to_ask(endpoints: Any) -> None:
    from bridge.cloudsync.simulator.endpoints import TOKEN_PATH  # noqa: PLC0415 - as above

    app = endpoints.app
    click.echo(
        f"The CRM answers at {endpoints.url}; in broker.yaml, under cloudsync:\n"
        f"  crm: {{consumer_key: {app.consumer_key}, user_id: {app.user_id}, audience: '{app.audience}', "
        f"token_endpoint: '{endpoints.url}{TOKEN_PATH}'}}",
        err=True,
    )


def _address(text: str) -> tuple[str, int]:
    from bridge.words.settings import Address  # noqa: PLC0415 - as above

    try:
        address = Address.read(text)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    return address.host, address.port
