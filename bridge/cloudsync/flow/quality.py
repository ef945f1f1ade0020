"""Quality: how good the data is: what could not be read, is not known, is in doubt, came twice, or was not covered."""

from collections.abc import Sequence

import msgspec

from bridge.cloudsync.flow.desk import Desk
from bridge.cloudsync.flow.feeds import Feeds
from bridge.cloudsync.flow.stretches import Stretches
from bridge.cloudsync.store.arrivals import HEAD
from bridge.cloudsync.store.database import Database
from bridge.words.times import stamp

LISTED = 100
"""How much of each list is told."""

_RECENT = 86_400_000

COUNTS = "SELECT json_group_object(what, count) FROM counts WHERE customer = ?"
QUARANTINED = "SELECT json_array(count(*), coalesce(sum(times), 0)) FROM quarantine WHERE customer = ?"
QUARANTINE = """
    SELECT json_group_array(json_object('number', number, 'channel', channel, 'reason', reason, 'detail', detail,
        'size', size, 'sha256', sha256, 'at', at, 'times', times))
    FROM (SELECT * FROM quarantine WHERE customer = ? ORDER BY number DESC LIMIT ?)
"""
FLAGGED = """
    SELECT json_array(count(*), (
        SELECT json_group_array(json_array(entity, record, json_extract(folded, '$.flags'))) FROM (
            SELECT * FROM records WHERE customer = ?1 AND flagged = 1 ORDER BY id DESC LIMIT ?2
        )
    )) FROM records WHERE customer = ?1 AND flagged = 1
"""
UNCLASSIFIED = """
    SELECT json_group_array(json_array(entity, record, since, json_extract(folded, '$.unclassified'))) FROM (
        SELECT * FROM records WHERE customer = ? AND since IS NOT NULL AND unclassified > 0 ORDER BY since LIMIT ?
    )
"""
WHOLE = "SELECT number, channel, head FROM quarantine WHERE customer = ? AND size <= ? ORDER BY number LIMIT ?"
RELEASE = "DELETE FROM quarantine WHERE number = ?"
_MOST_REPLAYED = 10_000


class InDoubt(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that must be fetched, or whose status is not known; numbers from `since` on are not sure."""

    entity: str
    record: str
    since: str
    statuses: list[str] = []


class Quarantined(msgspec.Struct, frozen=True):
    """An event that could not be read."""

    number: int
    channel: str
    reason: str
    detail: str
    size: int
    sha256: str
    at: str
    times: int


class Flagged(msgspec.Struct, frozen=True):
    """A record in which something was wrong, and mended."""

    entity: str
    record: str
    flags: list[str]


class Covered(msgspec.Struct, frozen=True, rename={"start": "from", "until": "to"}):
    """A time of which events could come, or were back-filled."""

    start: str
    until: str


class Coverage(msgspec.Struct, frozen=True):
    """Whether the feed is up, and how many of the last 24 hours' seconds are covered."""

    feed_up: bool
    last_24h_s: int


class Lists(msgspec.Struct, frozen=True):
    """What is behind the counts, the newest first, at most `LISTED` of each."""

    unmapped: list[str]
    unclassified: list[InDoubt]
    dirty: list[InDoubt]
    quarantined: list[Quarantined]
    flagged: list[Flagged]
    coverage: list[Covered]


class Quality(msgspec.Struct, frozen=True):
    """The answer of `GET /api/dq`."""

    as_of: str
    unmapped: int
    unclassified: int
    dirty: int
    quarantined: int
    duplicates: int
    ignored: int
    flagged: int
    coverage: Coverage
    lists: Lists


class _Stored(msgspec.Struct):
    number: int
    channel: str
    reason: str
    detail: str
    size: int
    sha256: str
    at: int
    times: int


async def told(
    database: Database, desk: Desk, covered: Stretches, feeds: Feeds, unmapped: Sequence[str], now: int
) -> Quality:
    """Read it. Raises Unavailable."""
    customer = desk.customer
    counts = await database.read(dict[str, int], COUNTS, customer) or {}
    quarantined, _ = await database.read(tuple[int, int], QUARANTINED, customer) or (0, 0)
    heads = await database.read(list[_Stored], QUARANTINE, customer, LISTED) or []
    flagged, of_those = await database.read(
        tuple[int, list[tuple[str, str, msgspec.Raw]]], FLAGGED, customer, LISTED
    ) or (0, [])
    doubts = sorted(desk.doubts.values(), key=lambda doubt: doubt.since)
    dirty = [doubt for doubt in doubts if doubt.dirty]
    unclassified = await database.read(list[tuple[str, str, int, msgspec.Raw]], UNCLASSIFIED, customer, LISTED) or []
    return Quality(
        as_of=stamp(now / 1000),
        unmapped=len(unmapped),
        unclassified=sum(doubt.unclassified for doubt in doubts),
        dirty=len(dirty),
        quarantined=quarantined,
        duplicates=counts.get("duplicates", 0),
        ignored=counts.get("ignored", 0),
        flagged=flagged,
        coverage=Coverage(feeds.up(customer), covered.length(now - _RECENT, now) // 1000),
        lists=Lists(
            unmapped=list(unmapped[:LISTED]),
            unclassified=[
                InDoubt(entity, record, stamp(since / 1000), _names(statuses))
                for entity, record, since, statuses in unclassified
            ],
            dirty=[InDoubt(doubt.entity, doubt.record, stamp(doubt.since / 1000)) for doubt in dirty[:LISTED]],
            quarantined=[
                Quarantined(
                    one.number,
                    one.channel,
                    one.reason,
                    one.detail,
                    one.size,
                    one.sha256,
                    stamp(one.at / 1000),
                    one.times,
                )
                for one in heads
            ],
            flagged=[Flagged(entity, record, _names(flags)) for entity, record, flags in of_those],
            coverage=[Covered(stamp(start / 1000), stamp(until / 1000)) for start, until in list(covered)[-LISTED:]],
        ),
    )


async def quarantined(database: Database, customer: str) -> list[tuple[int, str, bytes]]:
    """List what is in quarantine and was kept whole. Raises Unavailable."""
    rows = await database.blobs(WHOLE, customer, HEAD, _MOST_REPLAYED)
    return msgspec.convert(rows, list[tuple[int, str, bytes]])


async def release(database: Database, number: int) -> None:
    """Take one out of quarantine. Raises Unavailable."""
    await database.write(RELEASE, number)


def _names(raw: msgspec.Raw) -> list[str]:
    return msgspec.json.decode(bytes(raw), type=list[str])
