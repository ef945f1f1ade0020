"""Account: what became of every accepted pop, by the desktops and by the ledger."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import aiohttp

OPEN = frozenset({"held", "sent"})


class Account(NamedTuple):
    """`lost` holds the popids that no desktop saw although the ledger does not say that they are open or expired."""

    accepted: int
    seen: int
    held: int
    expired: int
    lost: list[str]
    unproven: list[str]  # seen and acknowledged, but open or expired in the ledger
    unknown: list[str]  # seen, or in the ledger, but never answered to a caller


async def of_pops(session: aiohttp.ClientSession, token: str, accepted: Iterable[str], popped: Counter[str]) -> Account:
    """Read the whole ledger and compare; `token` is an observer's or an admin's."""
    told = await statuses(session, token)
    wanted = set(accepted)
    seen = {popid for popid in wanted if popped[popid]}
    missed = wanted - seen
    by_status = {popid: told.get(popid, "not in the ledger") for popid in missed}
    held = [popid for popid, status in by_status.items() if status in OPEN]
    expired = [popid for popid, status in by_status.items() if status == "expired"]
    return Account(
        accepted=len(wanted),
        seen=len(seen),
        held=len(held),
        expired=len(expired),
        lost=sorted(missed.difference(held, expired)),
        unproven=sorted(popid for popid in seen if told.get(popid) != "delivered"),
        unknown=sorted((told.keys() | popped.keys()) - wanted),
    )


async def statuses(session: aiohttp.ClientSession, token: str) -> dict[str, str]:
    """List the pops of the token's customer with their status."""
    found: dict[str, str] = {}
    cursor: dict[str, str] = {}
    while True:
        async with session.get(
            "/api/pops", params={"limit": "500"} | cursor, headers={"Authorization": f"Bearer {token}"}
        ) as response:
            response.raise_for_status()
            page = await response.json()
        found |= {one["popid"]: one["status"] for one in page["items"]}
        if "next" not in page:
            return found
        cursor = {"cursor": page["next"]}
