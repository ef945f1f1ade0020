"""Directory: the mapping of every customer, kept in the data directory, and the correspondence of those with a CRM."""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bridge.cloudsync.events import mapped
from bridge.cloudsync.mapping.correspondence import Correspondence, Known, Took
from bridge.cloudsync.mapping.table import Row, State, Table
from bridge.words.cloudsync import Change
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.settings import Cloudsync, Crm, Customer

_SAVE_EVERY = 2.0  # seconds

log = logging.getLogger("popbridge.cloudsync")


class Standing(msgspec.Struct, frozen=True):
    """How a customer's mapping stands."""

    counts: dict[str, int]  # by state
    unmapped: list[str]  # pending and missing ids, at most `MOST_LISTED`
    waiting: int = 0  # records that are to be fetched
    alarms: list[str] = []


MOST_LISTED = 1_000


class _Kept(msgspec.Struct, omit_defaults=True):
    table: msgspec.Raw
    standing: Standing
    crm: Crm | None = None  # with which the bridge asks


class Directory:
    """The mappings of all customers. `took` and `known` are the processor's; without them no CRM is asked."""

    def __init__(
        self,
        folder: Path,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
        *,
        jitter: Callable[[], float] = random.random,
        first: float = 1.0,
    ) -> None:
        self._folder = folder
        self._customers = customers
        self._now = now
        self._jitter = jitter
        self._first = first
        self._tables: dict[str, Table] = {}
        self._desks: dict[str, Correspondence] = {}
        self._running: dict[str, tuple[Crm, asyncio.Task[None]]] = {}
        self._saved: dict[str, tuple[int, list[str], Crm | None]] = {}
        self._unsaved: set[str] = set()
        self._reloaded = asyncio.Event()
        self.took: Took = _take_nothing
        self.known: Known = _know_nothing

    def mapping(self, customer: str) -> Words:
        """Give what is known of a customer's ids: the same object as long as nothing has changed."""
        table = self._table(customer)
        settings = self._customers().get(customer)
        if settings is not None:
            table.follow(settings.cloudsync)
        return table.mapping

    def ids_wanted(self, customer: str, ids: Sequence[str]) -> None:
        """Note ids that a customer's records mention: `kind:id`."""
        if self._asks(customer):
            self._desk(customer).ids_wanted(ids)
        else:
            self._table(customer).mention(ids)

    def records_wanted(self, customer: str, keys: Sequence[tuple[str, str]]) -> None:
        """Note records that have to be fetched, by entity and id; "" is the entity as a whole."""
        if self._asks(customer):
            self._desk(customer).records_wanted(keys)

    async def mapping_changed(self, customer: str, changes: Sequence[Change]) -> None:
        """Take what events say of users, groups and statuses, and write it down. Raises Unavailable.

        Whoever processed the events does not come back to them: what they say must not be lost with this process.
        """
        table = self._table(customer)
        for change in changes:
            told = mapped.mapping_change(change)
            if told is None:
                self.records_wanted(customer, [(change.entity, change.record)])
            else:
                table.take(told, self._now())
        if not self._save(customer, table):
            raise Unavailable("full", f"the mapping of {customer} cannot be written")

    def refresh(self, customer: str) -> None:
        """Ask a customer's CRM anew for everything that is mapped, at once; nothing where there is none to ask."""
        if not self._asks(customer):
            return
        desk = self._desk(customer)
        desk.fetching.hurry()
        desk.everything_wanted()

    def standing(self, customer: str) -> Standing:
        """Tell how a customer's mapping stands."""
        counts: dict[str, int] = {}
        unmapped: list[str] = []
        for id_, state, _ in self.rows(customer):
            counts[state] = counts.get(state, 0) + 1
            if state in {"pending", "missing"} and len(unmapped) < MOST_LISTED:
                unmapped.append(id_)
        desk = self._desks.get(customer)
        if desk is None:
            return Standing(counts, unmapped)
        return Standing(counts, unmapped, desk.fetching.waiting, desk.alarms)

    def rows(self, customer: str) -> Iterable[tuple[str, State, Row]]:
        """Give every id of a customer with its state and what is known of it."""
        return self._table(customer).rows()

    def reload(self) -> None:
        """Look at broker.yaml and the key again, now."""
        self._reloaded.set()

    async def run(self) -> None:
        """Ask the CRMs, follow broker.yaml, and keep what is known, for ever."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._follow(tasks)
                    self._fulfil()
                    self.save()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_SAVE_EVERY):
                            await self._reloaded.wait()
                    if self._reloaded.is_set():
                        self._reloaded.clear()
                        self._stop_all()
        finally:
            self._running.clear()
            self.save()

    def save(self) -> None:
        """Write what has changed since it was written last."""
        for customer, table in self._tables.items():
            # What is not written is known all the same, and can be asked again.
            self._save(customer, table)

    def _save(self, customer: str, table: Table) -> bool:
        desk, (crm, _) = self._desks.get(customer), self._running.get(customer, (None, None))
        version = (table.version, [] if desk is None else desk.alarms, crm)
        if version != self._saved.get(customer):
            kept = _Kept(msgspec.Raw(table.keep()), self.standing(customer), crm)
            try:
                _write(_path(self._folder, customer), msgspec.json.encode(kept))
            except OSError as error:
                self._tell_unsaved(customer, error)
                return False
            self._saved[customer] = version
            self._unsaved.discard(customer)
        return True

    def _tell_unsaved(self, customer: str, error: OSError) -> None:
        if customer not in self._unsaved:
            self._unsaved.add(customer)
            log.warning("the mapping of %s cannot be written: %s", customer, error.strerror)

    def _asks(self, customer: str) -> bool:
        settings = self._customers().get(customer)
        return settings is not None and settings.cloudsync.crm is not None

    def _table(self, customer: str) -> Table:
        table = self._tables.get(customer)
        if table is None:
            settings = self._customers().get(customer)
            table = self._tables[customer] = Table(Cloudsync() if settings is None else settings.cloudsync)
            kept = _read(self._folder, customer)
            if kept is not None:
                table.restore(bytes(kept.table))
        return table

    def _desk(self, customer: str) -> Correspondence:
        desk = self._desks.get(customer)
        if desk is None:
            desk = self._desks[customer] = Correspondence(
                customer,
                self._table(customer),
                took=self._pass_on,
                known=self._look_up,
                now=self._now,
                jitter=self._jitter,
                first=self._first,
            )
        return desk

    async def _pass_on(self, customer: str, changes: Sequence[Change]) -> None:
        await self.took(customer, changes)

    async def _look_up(self, customer: str, entity: str) -> Mapping[str, int]:
        return await self.known(customer, entity)

    def _fulfil(self) -> None:
        """Ask anew where another process wishes it."""
        for customer in self._customers():
            path = _wish(self._folder, customer)
            if path.exists():
                self.refresh(customer)
                path.unlink(missing_ok=True)

    def _follow(self, tasks: asyncio.TaskGroup) -> None:
        """Let each customer's correspondence run with the settings as they are now."""
        wanted = {name: one.cloudsync.crm for name, one in self._customers().items()}
        for customer, (crm, task) in list(self._running.items()):
            if wanted.get(customer) != crm:
                task.cancel()
                del self._running[customer]
        for customer, wants in wanted.items():
            if wants is not None and customer not in self._running:
                desk = self._desk(customer)
                desk.fetching.hurry()
                task = tasks.create_task(desk.run(wants, self._folder), name=f"the CRM of {customer}")
                self._running[customer] = (wants, task)

    def _stop_all(self) -> None:
        for _, task in self._running.values():
            task.cancel()
        self._running.clear()


def standing(folder: Path, customer: str) -> Standing | None:
    """Read how a customer's mapping stood when it was written last; None if it never was."""
    kept = _read(folder, customer)
    return None if kept is None else kept.standing


def asked(folder: Path, customer: str) -> Crm | None:
    """Read with which settings the bridge that runs here asks a customer's CRM; None if it asks none, or none runs.

    The demo asks a simulated one, which is in no broker.yaml. A bridge that was killed has told of no end.
    """
    kept = _read(folder, customer)
    return None if kept is None else kept.crm


def wish_refresh(folder: Path, customer: str) -> Path:
    """Wish, from another process, that a customer's CRM be asked anew; the file goes when the bridge takes the wish."""
    path = _wish(folder, customer)
    path.touch(mode=0o600)
    return path


@contextlib.asynccontextmanager
async def opened(
    folder: Path, customers: Callable[[], Mapping[str, Customer]], now: Callable[[], int]
) -> AsyncIterator[Directory]:
    """Open the directory; `run` has to be started, and what it knows is written at the end."""
    directory = Directory(folder, customers, now)
    try:
        yield directory
    finally:
        directory.save()


def _path(folder: Path, customer: str) -> Path:
    return folder / f"cloudsync-mapping-{customer}.json"


def _wish(folder: Path, customer: str) -> Path:
    return folder / f"cloudsync-sync-{customer}.wish"


def _read(folder: Path, customer: str) -> _Kept | None:
    try:
        return msgspec.json.decode(_path(folder, customer).read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.DecodeError):
        # None yet, or torn: all of it can be asked again.
        return None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


async def _take_nothing(_customer: str, _changes: Sequence[Change]) -> None:
    return


async def _know_nothing(_customer: str, _entity: str) -> Mapping[str, int]:
    return {}
