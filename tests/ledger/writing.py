"""A process that writes to a ledger: `python -m tests.ledger.writing DIR kill | limit PREFIX`."""

import asyncio
import contextlib
import os
import resource
import sys
from pathlib import Path

from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Entry, Remembered, Step, Unavailable
from tests.ledger.pops import NOON, entry, eventually


def say(line: str) -> None:
    # Unbuffered: what is said was answered.
    os.write(1, f"{line}\n".encode())


async def accept(ledger: Ledger, one: Entry) -> None:
    answer = Remembered(
        customer="acme", api="connect", key=one.popid, fingerprint=b"f", status=200, body=b"{}", at=one.sent
    )
    await ledger.accept(one, [Step("accepted", one.sent), Step("held", one.sent)], answer)


async def until_killed(ledger: Ledger, prefix: str) -> None:
    """Accept pops from many callers, and say which are answered, and whose `shown` somebody could read."""

    async def caller(number: int) -> None:
        for count in range(10**9):
            popid = f"{prefix}-{number:02}-{count:08}"
            await accept(ledger, entry(popid))
            say(popid)
            if count % 5 == 0:
                ledger.note(popid, "shown", NOON, final=True)
                if await ledger.pop(popid, "acme") is not None:
                    say(f"{popid} shown")

    await asyncio.gather(*(caller(number) for number in range(20)))


async def within_a_limit(ledger: Ledger, prefix: str) -> None:
    """Accept pops until the files may not grow, say why that failed, and go on when they may."""
    for count in range(20):
        popid = f"{prefix}-before-{count:04}"
        await accept(ledger, entry(popid))
        say(popid)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))
    failed = 0
    while not failed:
        popid = f"{prefix}-during-{failed:04}"
        ledger.note(f"{prefix}-before-0000", "sent", NOON)
        try:
            await accept(ledger, entry(popid))
            say(popid)
        except Unavailable as failure:
            failed += 1
            say(f"{failure.reason} {ledger.usable}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await eventually(lambda: ledger.usable)
    popid = f"{prefix}-after"
    await accept(ledger, entry(popid))
    say(popid)


async def main() -> None:
    """Do what the command line says."""
    _, data, what, prefix = sys.argv
    async with Ledger.open(Path(data)) as ledger:
        await (until_killed if what == "kill" else within_a_limit)(ledger, prefix)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
