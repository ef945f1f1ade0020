"""Triggers: an admitted trigger's way to its answer: rate, idempotency, duplicate guard, delivery, waiting."""

from collections.abc import Callable

import msgspec

from bridge.connect.rates import Rates
from bridge.delivery.delivery import Delivery
from bridge.delivery.outcome import Outcome, so_far
from bridge.delivery.repeats import Answer, Guard, Key, Keys, Remember, fingerprint
from bridge.ledger.ledger import Ledger
from bridge.words import errors
from bridge.words.trigger import Channel, Trigger

DUPLICATE = "duplicate"


class Handled(msgspec.Struct, frozen=True):
    """What became of a trigger. `status` is the outcome's or `duplicate`; `ms` is None where nobody waited."""

    outcome: Outcome
    status: str
    ms: int | None = None


Spell = Callable[[Handled], Answer]


class Triggers:
    """The one way from a door to a pop."""

    def __init__(self, delivery: Delivery, ledger: Ledger, now: Callable[[], float]) -> None:
        self._delivery = delivery
        self._ledger = ledger
        self._now = now
        self._keys = Keys(ledger, now)
        self._guard = Guard()
        self._rates = Rates()

    async def take_up(self, longest_window: float) -> None:
        """Remember for the duplicate guard what came before the process ended."""
        for one in reversed(await self._ledger.fingerprints(self._now() - longest_window)):
            self._guard.restore(one.fingerprint, one.popid, one.sent)

    async def handle(
        self, trigger: Trigger, credential: str, spell: Spell, *, window: float = 0.0, per_second: float = 0.0
    ) -> tuple[Answer, bool]:
        """Give the answer, as `spell` words it, and whether it is an idempotency key's replay.

        `window` is the duplicate guard's, in seconds; it looks only at triggers without an idempotency key.
        """
        now = self._now()
        wait = self._rates.wait(credential, per_second, now)
        if wait:
            raise errors.rate_limited(f"This key may trigger {per_second:g} times a second", wait)
        if trigger.controls.dryrun:
            outcome, _ = await self._delivery.deliver(trigger, credential, None)
            return spell(Handled(outcome, outcome.status)), False
        identity = fingerprint(trigger)
        if trigger.controls.key is not None:
            api = "cloud" if trigger.channel is Channel.CLOUD else "connect"
            return await self._keys.once(
                Key(trigger.customer, api, trigger.controls.key),
                identity,
                lambda remember: self._pop(trigger, credential, spell, None, remember),
            )
        if window <= 0 or trigger.channel is Channel.CLOUD:
            return await self._pop(trigger, credential, spell, None, None), False
        first = await self._guard.first(identity, window, now)
        if first is not None:
            twin = self._delivery.duplicate(trigger, first)
            return spell(Handled(twin, DUPLICATE, 0 if trigger.controls.wait else None)), False
        return await self._pop(trigger, credential, spell, identity, None), False

    async def _pop(
        self, trigger: Trigger, credential: str, spell: Spell, identity: bytes | None, remember: Remember | None
    ) -> Answer:
        popid: str | None = None
        try:
            outcome, live = await self._delivery.deliver(
                trigger,
                credential,
                identity,
                None if remember is None else lambda early: remember(spell(Handled(early, early.status))),
            )
            popid = outcome.popid
        finally:
            if identity is not None:
                self._guard.settled(identity, popid)
        wanted = trigger.controls
        if live is None or not wanted.wait:
            return spell(Handled(outcome, outcome.status, 0 if wanted.wait else None))
        ms = await self._delivery.wait(live, wanted.wait, wanted.until)
        return spell(Handled(so_far(live, outcome.receivers), live.status, ms))
