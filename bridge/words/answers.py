"""Answers: what callers are told, as types. What does not apply is absent. `/openapi.json` is made from these."""

from typing import Literal

import msgspec

VERSION = "1"
"""Of the Cloud API, as its answers tell."""


class _Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Accepted(_Answer, frozen=True, kw_only=True):
    """200 of the Connect API. A dry run has no `popid`; `ms` comes with a wait, `warnings` as `code: sentence`."""

    success: Literal[True]
    dryrun: bool = False
    popid: str | None = None
    status: str
    topic: str
    receivers: int
    reason: str | None = None
    holder: str | None = None
    suspended: str | None = None
    warnings: list[str] = []
    ms: int | None = None


class Problem(_Answer, frozen=True, kw_only=True):
    """Every refusal outside the Cloud API. As `application/problem+json`, `status` is the number."""

    success: Literal[False]
    status: str | int
    http_status: int
    code: str
    title: str
    detail: str
    hint: str
    line: int | None = None
    column: int | None = None
    size: int | None = None
    limit: int | None = None


class DesktopToken(_Answer, frozen=True, kw_only=True):
    """A desktop's token for a person."""

    success: Literal[True]
    token: str
    expires: str
    customer: str
    agentid: str
    username: str


class StepTold(_Answer, frozen=True, kw_only=True):
    """One step of a pop's life."""

    status: str
    at: str
    detail: str


class PopTold(_Answer, frozen=True, kw_only=True):
    """A pop as it is read; `why` is one sentence: why it did or did not appear, and what to change."""

    popid: str
    status: str
    agentid: str
    event: str | None = None
    campaign: str | None = None
    reference: str | None = None
    topic: str
    sent: str
    expires: str
    steps: list[StepTold]
    why: str


class PopList(_Answer, frozen=True, kw_only=True):
    """Pops, newest first; `next` is the cursor of the following part."""

    items: list[PopTold]
    next: str | None = None


class AgentTold(_Answer, frozen=True, kw_only=True):
    """An agent seen in the last 30 days; `activities` newest first, `pops` the last 20 popids."""

    agentid: str
    online: bool
    desktops: int
    since: str
    current: str | None = None
    activities: list[str]
    pops: list[str]


class AgentList(_Answer, frozen=True, kw_only=True):
    """Agents, the one heard of last first."""

    items: list[AgentTold]
    next: str | None = None


class LicenceTold(_Answer, frozen=True, kw_only=True):
    """The Cloud API's plugin and licence of a customer."""

    plugin: bool
    kind: str
    seats: int
    used: int
    users: list[str]


class Quantiles(_Answer, frozen=True, kw_only=True):
    """How long it took from acceptance, in milliseconds, within 5 %."""

    p50: float
    p90: float
    p99: float


class Latency(_Answer, frozen=True, kw_only=True):
    """The same with the longest and how many there were; of none there is only the `count`."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None
    count: int


class FunnelCounts(_Answer, frozen=True, kw_only=True):
    """Pops by what became of them; `delivered` are those that ever were, the others those that now stand there."""

    accepted: int
    delivered: int
    shown: int
    unchanged: int
    refused: int
    expired: int
    recalled: int


class FunnelBin(_Answer, frozen=True, kw_only=True):
    """The pops accepted in 15 minutes from `start` on."""

    start: str
    accepted: int
    delivered: int
    shown: int
    unchanged: int
    refused: int
    expired: int
    recalled: int
    delivered_ms: Quantiles | None = None
    shown_ms: Quantiles | None = None


class FunnelOpen(_Answer, frozen=True, kw_only=True):
    """Pops that have come no further than this, open or ended so."""

    held: int
    sent: int
    delivered: int


class FunnelTold(_Answer, frozen=True, kw_only=True):
    """The last hours' pops; `complete` is false while those of before the start are still being counted."""

    as_of: str
    from_: str = msgspec.field(name="from")
    complete: bool
    bins: list[FunnelBin]
    totals: FunnelCounts
    open: FunnelOpen
    delivered_ms: Latency
    shown_ms: Latency
    reasons: dict[str, int]


class _Vendor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    pass


class TokenUser(_Vendor, frozen=True, kw_only=True):
    """The user of a token."""

    username: str
    email: str
    attributes: dict[str, str]
    created: str
    last_updated: str
    status: str


class TokenResult(_Vendor, frozen=True, kw_only=True):
    """The tokens; `ExpiresIn` is the IdToken's life in seconds."""

    authenticated: bool
    id_token: str
    access_token: str
    refresh_token: str
    expires_in: int
    user: TokenUser


class TokenAnswer(_Vendor, frozen=True, kw_only=True):
    """200 of the Cloud API's token and refresh."""

    success: bool
    result: TokenResult
    version: str


class CloudResult(_Vendor, frozen=True, kw_only=True):
    """What became of a Cloud pop, or why there is none."""

    pop_id: str | None = None
    status: str
    reason: str | None = None
    detail: str | None = None


class CloudAnswer(_Vendor, frozen=True, kw_only=True):
    """An answer of the Cloud API's pop, and every refusal of the Cloud API."""

    success: bool
    result: CloudResult
    version: str
