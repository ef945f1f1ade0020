"""Pops to put into a ledger, and how to wait for what it does by itself."""

import asyncio
import json
from collections.abc import Callable

from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Entry, Step

NOON = 1_800_000_000.0
PATIENCE = 30.0


def entry(
    popid: str,
    *,
    customer: str = "acme",
    agent: str = "1001",
    sent: float = NOON,
    ttl: float = 30.0,
    reference: str | None = None,
    fingerprint: bytes | None = None,
) -> Entry:
    return Entry(
        popid=popid,
        customer=customer,
        agent=agent,
        channel="CTI",
        event="On Ring",
        reference=reference,
        topic=f"CTI/{customer}/{agent}",
        payload=json.dumps({"popid": popid, "data": {"caller": "Jörg \u260e"}}, ensure_ascii=False).encode(),
        sent=sent,
        expires=sent + ttl,
        key="key-1",
        fingerprint=fingerprint,
    )


async def accept(ledger: Ledger, one: Entry, *statuses: str, final: bool = False) -> None:
    steps = [Step(status, one.sent) for status in statuses or ("accepted", "held")]
    await ledger.accept(one, steps, final=final)


async def statuses(ledger: Ledger, popid: str, customer: str = "acme") -> list[str]:
    found = await ledger.pop(popid, customer)
    assert found is not None
    return [step.status for step in found.steps]


async def listed(ledger: Ledger, customer: str = "acme") -> list[str]:
    """Give all popids, the newest first."""
    popids: list[str] = []
    cursor = None
    while True:
        page = await ledger.pops(customer, limit=500, cursor=cursor)
        popids += [pop.popid for pop in page.items]
        cursor = page.next
        if cursor is None:
            return popids


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what the ledger finds out by itself."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells when it counts
            await asyncio.sleep(0.005)
