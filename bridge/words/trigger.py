"""Trigger: one HTTP request that asks for a pop, read and admitted. One that exists is valid."""

from enum import StrEnum
from typing import Literal

import msgspec


class Channel(StrEnum):
    """Where a trigger came in."""

    CTI = "CTI"
    CRM = "CRM"
    CLOUD = "cloud"


class Controls(msgspec.Struct, frozen=True):
    """How the caller wants it handled. `wait` and `ttl` in seconds; `ttl` None: the channel's default."""

    wait: float = 0.0
    until: Literal["shown", "delivered"] = "shown"
    ttl: float | None = None
    key: str | None = None
    dryrun: bool = False


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """An admitted trigger. `crmid` and `ctiid` are in the spelling to publish; `data` keeps the caller's spelling."""

    channel: Channel
    customer: str
    agentid: str
    event: str
    crmid: str | None
    ctiid: str | None
    topic: str
    ttl: float
    data: dict[str, msgspec.Raw]
    controls: Controls
    warnings: list[str]
