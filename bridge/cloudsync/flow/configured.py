"""Configured: what broker.yaml says of ids; what differs between two mappings, and how one is kept. Pure."""

import msgspec

from bridge.cloudsync.events import ids
from bridge.words.cloudsync import Mapping
from bridge.words.settings import Cloudsync


class _Kept(msgspec.Struct):
    closed: list[tuple[str, str, bool]] = []
    presence: dict[str, str] = {}
    default_group: dict[str, str] = {}
    zone: dict[str, str] = {}
    sl_threshold: dict[str, int] = {}
    short_abandon: dict[str, int] = {}
    names: dict[str, str] = {}


class Difference(msgspec.Struct):
    """What a new mapping changes: `ids` that records mention, statuses that had none, limits of groups, whose days."""

    ids: set[str] = set()
    classified: bool = False
    limits: bool = False
    days: bool = False

    def __bool__(self) -> bool:
        return bool(self.ids) or self.classified or self.limits or self.days


def mapping(settings: Cloudsync) -> Mapping:
    """Give what the operator wrote."""
    groups = {_long(group): said for group, said in settings.groups.items()}
    return Mapping(
        closed={
            (entity, status): meaning == "closed"
            for entity, statuses in settings.statuses.items()
            for status, meaning in statuses.items()
        },
        presence={_long(status): category for status, category in settings.presence.items()},
        zone={group: said.zone for group, said in groups.items() if said.zone is not None},
        sl_threshold={group: round(said.sl_threshold * 1000) for group, said in groups.items()},
        short_abandon={group: round(said.short_abandon * 1000) for group, said in groups.items()},
        names={group: said.name for group, said in groups.items()},
    )


def difference(before: Mapping, after: Mapping) -> Difference:
    """Say what has to be folded or computed anew; names join when they are read."""
    found = Difference()
    for key in before.closed.keys() | after.closed.keys():
        if before.closed.get(key) != after.closed.get(key):
            if key not in before.closed:
                found.classified = True
            else:
                found.ids.add(f"status:{key[0]}:{key[1]}")
    for kind, one, other in (
        ("presence", before.presence, after.presence),
        ("user", before.default_group, after.default_group),
    ):
        found.ids |= {f"{kind}:{key}" for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    found.limits = (before.sl_threshold, before.short_abandon) != (after.sl_threshold, after.short_abandon)
    found.days = (before.zone, before.default_group) != (after.zone, after.default_group)
    return found


def spell(one: Mapping) -> str:
    """Spell a mapping as JSON."""
    kept = _Kept(
        [(*key, closed) for key, closed in one.closed.items()],
        one.presence,
        one.default_group,
        one.zone,
        one.sl_threshold,
        one.short_abandon,
    )
    return msgspec.json.encode(kept).decode()


def read(text: str | None) -> Mapping | None:
    """Read a mapping again; the names are left out."""
    if text is None:
        return None
    kept = msgspec.json.decode(text, type=_Kept)
    return Mapping(
        closed={(entity, status): closed for entity, status, closed in kept.closed},
        presence=kept.presence,
        default_group=kept.default_group,
        zone=kept.zone,
        sl_threshold=kept.sl_threshold,
        short_abandon=kept.short_abandon,
    )


def _long(written: str) -> str:
    try:
        return ids.long(written)
    except ValueError:
        return written
