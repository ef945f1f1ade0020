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
    """An admitted trigger. `refusal` is a reason, known already, why it cannot be popped; `hint` what to change.

    `crmid` and `ctiid` are in the spelling to publish; `data` keeps the caller's spelling.
    """

    channel: Channel
    customer: str
    agentid: str
    event: str | None = None
    crmid: str | None = None
    ctiid: str | None = None
    campaign: str | None = None
    reference: str | None = None
    topic: str
    ttl: float
    fields: dict[str, msgspec.Raw] | None = None
    variables: dict[str, msgspec.Raw] | None = None
    data: dict[str, msgspec.Raw]
    controls: Controls
    warnings: list[str] = []
    refusal: str | None = None
    hint: str | None = None
    traceparent: str | None = None
