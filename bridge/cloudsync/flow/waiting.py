"""Waiting: for an event, but not for ever."""

import asyncio
import contextlib


async def set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, for so long at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
