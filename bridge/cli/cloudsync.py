"""`popbridge cloudsync`: the key pair, the last onboarding step, what the CRM is asked, and a simulated CRM."""

import asyncio
import datetime as dt
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.cli.customers import customer_option, meant
from bridge.cli.house import House, refuse
from bridge.cli.simulate import simulate

if TYPE_CHECKING:
    from bridge.cloudsync.flow.admin import Admin
    from bridge.cloudsync.flow.wishes import Done
    from bridge.words.settings import Crm, Customer

T = TypeVar("T")

FAILED = 1


class Moment(click.ParamType[int]):
    """A time with its zone, as milliseconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `2026-01-31T12:00:00Z`."""
        if isinstance(value, int):
            return value
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-01-31T12:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no zone: write 2026-01-31T12:00:00Z", param, ctx)
        return int(moment.timestamp() * 1000)


@click.group()
def cloudsync() -> None:
    """CloudSync: connect a CRM, see what it gives, compute again."""


cloudsync.add_command(simulate)


@cloudsync.command()
@click.option("--replace", is_flag=True, help="Make another pair, though there is one that the CRM may know.")
@customer_option
@click.pass_obj
def keypair(house: House, customer: str | None, *, replace: bool) -> None:
    """Make cloudsync.key and cloudsync.crt in the data directory; the connected app is given the certificate."""
    from bridge.crm import keypair as pair  # noqa: PLC0415 - `--help` must not pay for it

    try:
        made = pair.make(house.data, customer or "bridge", dt.datetime.now(dt.UTC), replace=replace)
    except pair.KeypairError as error:
        refuse(f"{error}.")
    click.echo(str(house.data / pair.CERTIFICATE))
    click.echo(f"SHA-256 {made.fingerprint}, until {made.expires:%Y-%m-%d}", err=True)
    click.echo("Upload it to the connected app: Use digital signatures, Choose File. The key stays here.", err=True)


@cloudsync.command()
@customer_option
@click.option("--sandbox", is_flag=True, help="Try the sandbox, test.cloudsync.com, whatever broker.yaml says.")
@click.option("--result", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the result.")
@click.pass_obj
def validate(house: House, customer: str | None, result: Path | None, *, sandbox: bool) -> None:
    """Try the whole way to the CRM, step by step; stop at the first failure and say which setting to change.

    The result file can be shared: neither key nor assertion nor token is in it.
    """
    import msgspec  # noqa: PLC0415 - as above

    from bridge.cloudsync.mapping.asked import FIELDS  # noqa: PLC0415
    from bridge.crm import addresses  # noqa: PLC0415
    from bridge.crm import validate as validation  # noqa: PLC0415
    from bridge.crm.troubles import Trouble  # noqa: PLC0415
    from bridge.words.times import stamp  # noqa: PLC0415

    name, settings = meant(house, customer, with_crm=True)
    crm = _crm(house, name, settings)
    if crm is None:
        refuse(f"{name} has no `cloudsync.crm` in {house.config_path()}: add `consumer_key` and `user_id`.")
    if sandbox:
        crm = msgspec.structs.replace(crm, sandbox=True)

    async def tried() -> list[validation.Finding]:
        found: list[validation.Finding] = []
        async for one in validation.findings(crm, house.data, settings.cloudsync.entities, FIELDS, time.time):
            mark = "failed" if not one.ok else "look  " if one.warning else "ok    "
            click.echo(f"{mark}  {one.step:<15} {one.said}")
            found.append(one)
        return found

    found = asyncio.run(tried())
    success = found[-1].ok
    try:
        where = addresses.of(crm)
    except Trouble:
        where = addresses.Addresses("", "")
    told = validation.Result(name, stamp(time.time()), success, where.token_endpoint, where.audience, found)
    path = result or house.data / f"cloudsync-validate-{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    click.echo(f"The result is in {path}: it holds no secret and can be shared.", err=True)
    sys.exit(0 if success else FAILED)


@cloudsync.command()
@customer_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(house: House, customer: str | None, *, as_json: bool) -> None:
    """Say what is mapped, what is not, what the CRM cannot be asked for, and how far the processor is."""
    import msgspec  # noqa: PLC0415 - as above

    from bridge.cloudsync.mapping import directory  # noqa: PLC0415

    name, settings = meant(house, customer)
    crm = _crm(house, name, settings, tell=not as_json)
    mapped = directory.standing(house.data, name) or directory.Standing({}, [])
    stored = msgspec.to_builtins(_do(house, lambda admin: admin.status(name)))
    now = time.time()
    if as_json:
        stored |= {what: _stamped(stored[what]) for what in _TIMES}
        told = {"customer": name, "mapping": mapped, "store": stored}
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
        return
    asked = "no CRM is asked" if crm is None else f"{mapped.waiting} records wait to be fetched"
    states = ", ".join(f"{count} {state}" for state, count in sorted(mapped.counts.items())) or "nothing yet"
    _tell("feeds", ", ".join(settings.cloudsync.feeds) or "none")
    _tell("mapping", f"{states}; {asked}")
    for id_ in mapped.unmapped[:20]:
        _tell("unmapped", id_)
    for alarm in mapped.alarms:
        _tell("ALARM", alarm)
    for what, value in stored.items():
        _tell(*(_TIMES[what], _when(value, now)) if what in _TIMES else (what, value))


@cloudsync.command()
@customer_option
@click.pass_obj
def sync(house: House, customer: str | None) -> None:
    """Ask the CRM anew for every user, group and status, now instead of at the daily refresh."""
    from bridge.cloudsync.mapping import directory  # noqa: PLC0415 - as above

    name, settings = meant(house, customer, with_crm=True)
    if _crm(house, name, settings) is None:
        refuse(f"{name} has no `cloudsync.crm` in {house.config_path()}: there is nobody to ask.")
    wish = directory.wish_refresh(house.data, name)
    until = time.monotonic() + 10
    while wish.exists() and time.monotonic() < until:
        time.sleep(0.1)
    if wish.exists():
        click.echo("No bridge runs in this data directory; it will ask when it starts.", err=True)
    else:
        click.echo("The bridge asks the CRM anew; `popbridge cloudsync status` shows what it has.", err=True)


@cloudsync.command()
@customer_option
@click.option("--from", "start", type=Moment(), required=True, help="From when on to compute again.")
@click.option("--to", "until", type=Moment(), required=True, help="Until when.")
@click.pass_obj
def recompute(house: House, customer: str | None, start: int, until: int) -> None:
    """Compute the rows of a time again from the records."""
    name, _ = meant(house, customer)
    if start >= until:
        raise click.UsageError("--from must lie before --to.")
    _done(house, lambda admin: admin.recompute(name, start, until))
    click.echo("The rows are computed again.", err=True)


@cloudsync.command()
@customer_option
@click.option(
    "--from", "start", type=Moment(), help="From when on the file is complete: these seconds count as covered."
)
@click.option("--to", "until", type=Moment(), help="Until when.")
@click.argument("file", type=click.File("rb"))
@click.pass_obj
def backfill(house: House, customer: str | None, start: int | None, until: int | None, file: Any) -> None:
    """Take events from FILE, one JSON object a line (`-`: stdin); what is known already counts once."""
    name, _ = meant(house, customer)
    if (start is None) != (until is None):
        raise click.UsageError("Give both --from and --to, or neither.")
    span = None if start is None or until is None else (start, until)
    events = (_event(line) for line in file if line.strip())
    done = _done(house, lambda admin: admin.backfill(name, events, span))
    click.echo(
        f"{done.count} events are new, {done.duplicates} were known, {done.quarantined} could not be read.", err=True
    )


@cloudsync.command()
@customer_option
@click.pass_obj
def replay(house: House, customer: str | None) -> None:
    """Read again what is in quarantine, after an upgrade for instance."""
    name, _ = meant(house, customer)

    async def again(admin: "Admin") -> "tuple[Done, int]":
        return await admin.replay(name), (await admin.status(name)).quarantined

    done, left = _do(house, again)
    click.echo(f"{done.count} events were read, {left} still cannot be.", err=True)


@cloudsync.command("erase-contact")
@customer_option
@click.argument("contact")
@click.pass_obj
def erase_contact(house: House, customer: str | None, contact: str) -> None:
    """Erase what is kept of a contact, by its id of 15 or 18 characters, from raw events too; numbers stay."""
    name, _ = meant(house, customer)
    done = _done(house, lambda admin: admin.erase(name, contact))
    click.echo(f"{done.count} records were stripped of the contact.", err=True)


_TIMES = {"received": "last event", "covered": "covered until", "stt_final": "final until"}
"""What `status` calls the times of the store."""


def _crm(house: House, name: str, settings: "Customer", *, tell: bool = True) -> "Crm | None":
    """Find how the customer's CRM is asked: by broker.yaml, else as the running bridge does."""
    from bridge.cloudsync.mapping import directory  # noqa: PLC0415 - as above

    crm = settings.cloudsync.crm
    if crm is None:
        crm = directory.asked(house.data, name)
        if crm is not None and tell:
            where = crm.token_endpoint or "its CRM"
            click.echo(f"Not from broker.yaml: the running bridge asks {where}, as the demo does.", err=True)
    return crm


def _tell(what: str, value: object) -> None:
    click.echo(f"{what:<14} {value}")


def _stamped(at: int | None) -> str | None:
    from bridge.words.times import stamp  # noqa: PLC0415 - as above

    return stamp(at / 1000) if at else None


def _when(at: int | None, now: float) -> str:
    """Spell milliseconds as a time, and how long ago that is."""
    if not at:
        return "never"
    ago = dt.timedelta(seconds=abs(int(now - at / 1000)))
    return f"{_stamped(at)} ({ago} {'ago' if at / 1000 <= now else 'ahead'})"


def _event(line: bytes) -> tuple[str, bytes]:
    """Read a line of a file to back-fill: an event, or one with its channel, as `simulate --out` writes it."""
    import msgspec  # noqa: PLC0415 - as above

    try:
        told = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if told.keys() == {"at", "channel", "payload"}:
            return msgspec.json.decode(told["channel"], type=str), bytes(told["payload"])
    except msgspec.DecodeError:
        # It goes into quarantine, as it would have if it had been sent.
        pass
    return "", line.strip()


def _do(house: House, work: "Callable[[Admin], Awaitable[T]]") -> T:
    """Do one thing with the store, through the running bridge if there is one; exit 3 where it cannot be done."""
    from bridge.cloudsync.flow import admin  # noqa: PLC0415 - as above
    from bridge.cloudsync.mapping.directory import Directory  # noqa: PLC0415
    from bridge.words.ledger import Unavailable  # noqa: PLC0415

    customers = house.settings().customers
    directory = Directory(house.data, lambda: customers, lambda: int(time.time() * 1000))

    async def do() -> T:
        async with admin.opened(house.data, lambda: customers, time.time, directory.mapping) as opened:
            return await work(opened)

    try:
        return asyncio.run(do())
    except Unavailable as error:
        refuse(str(error))


def _done(house: House, work: "Callable[[Admin], Awaitable[Done]]") -> "Done":
    done = _do(house, work)
    if done.error is not None:
        refuse(done.error)
    return done
