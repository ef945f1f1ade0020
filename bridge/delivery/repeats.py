"""Repeats: the same request again. An idempotency key replays its first answer; without one, a twin is a duplicate."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b

import msgspec

from bridge.ledger.ledger import Ledger
from bridge.words import errors
from bridge.words.ledger import Remembered, Unavailable
from bridge.words.trigger import Trigger

_GUARDED = 200_000  # triggers that the guard remembers; the oldest give way

_ENCODE = msgspec.json.Encoder().encode
_DIGEST = blake2b(digest_size=16)  # a copy costs less than another one

log = logging.getLogger("popbridge.repeats")


def fingerprint(trigger: Trigger) -> bytes:
    """Condense what makes two triggers the same: all but the credential and the controls."""
    said = (
        trigger.customer,
        trigger.channel,
        trigger.agentid,
        trigger.event,
        trigger.crmid,
        trigger.ctiid,
        trigger.campaign,
        trigger.reference,
        trigger.data,
    )
    digest = _DIGEST.copy()
    digest.update(_ENCODE(said))
    return digest.digest()


class Key(msgspec.Struct, frozen=True):
    """An idempotency key in its scope."""

    customer: str
    api: str
    key: str


class Answer(msgspec.Struct, frozen=True):
    """An answer's HTTP status and body."""

    status: int
    body: bytes


Remember = Callable[[Answer], Remembered | None]


class Keys:
    """Idempotency: while the first request is at work another is refused; later ones get the first one's answer."""

    def __init__(self, ledger: Ledger, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        self._working: dict[Key, bytes] = {}

    async def once(
        self, key: Key, identity: bytes, work: Callable[[Remember], Awaitable[Answer]]
    ) -> tuple[Answer, bool]:
        """Give the answer, and whether it is a replay. `work` gets what makes an answer into one to remember.

        An answer that is no success is not remembered: the same key may try again.
        """
        if key in self._working:
            if self._working[key] != identity:
                raise errors.idempotency_mismatch()
            raise errors.idempotency_in_flight()
        self._working[key] = identity
        try:
            # What a caller takes for a key may be its credential by mistake: only a digest is written down.
            digest = blake2b(key.key.encode(), digest_size=16).hexdigest()
            known = await self._remembered(key, digest)
            if known is not None:
                if known.fingerprint != identity:
                    raise errors.idempotency_mismatch()
                return Answer(known.status, known.body), True

            def remember(answer: Answer) -> Remembered | None:
                if answer.status >= 300:
                    return None
                return Remembered(
                    customer=key.customer,
                    api=key.api,
                    key=digest,
                    fingerprint=identity,
                    status=answer.status,
                    body=answer.body,
                    at=self._now(),
                )

            answer = await work(remember)
            worth = remember(answer)
            if worth is not None:
                self._ledger.remember(worth)
            return answer, False
        finally:
            del self._working[key]

    async def _remembered(self, key: Key, digest: str) -> Remembered | None:
        try:
            return await self._ledger.remembered(key.customer, key.api, digest, self._now())
        except Unavailable as unavailable:
            log.warning("the ledger cannot be read: %s", unavailable)
            raise errors.overloaded("What the idempotency key was used for cannot be read for now") from None


class _First(msgspec.Struct, gc=False):
    """The first of identical triggers: when it came, and its popid; None while it is at work."""

    at: float
    popid: str | None = None


class Guard:
    """The duplicate guard: the first of identical triggers within a window is popped, the others name it."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, _First] = OrderedDict()
        self._twins: dict[bytes, asyncio.Future[None]] = {}

    def restore(self, identity: bytes, popid: str, at: float) -> None:
        """Take over what the ledger knows, oldest first."""
        self._seen[identity] = _First(at, popid)

    async def first(self, identity: bytes, window: float, now: float) -> str | None:
        """Give the popid of the first; None: this one is the first, and must be `settled`."""
        while (known := self._seen.get(identity)) is not None:
            if not known.at <= now < known.at + window:
                self._seen.move_to_end(identity)
                break
            if known.popid is not None:
                return known.popid
            if identity not in self._twins:
                self._twins[identity] = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._twins[identity])
        self._seen[identity] = _First(now)
        if len(self._seen) > _GUARDED:
            self._seen.popitem(last=False)
        return None

    def settled(self, identity: bytes, popid: str | None) -> None:
        """Tell the popid of a first; None: it came to nothing, and a twin that waits may be the first."""
        known = self._seen.get(identity)
        if known is not None:
            if popid is None:
                del self._seen[identity]
            else:
                known.popid = popid
        twins = self._twins.pop(identity, None)
        if twins is not None:
            twins.set_result(None)
