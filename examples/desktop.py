"""An agent's desktop with our own client: it reconnects, shows each pop once, and tells the caller `shown`.

    POPBRIDGE_TOKEN=… python desktop.py mqtt://127.0.0.1:1883 acme 1001

It needs `agent_client`, which comes with popbridge.
"""

import asyncio
import os
import sys

from agent_client import Desktop, NotAuthorised, State


def tell(state: State, why: str) -> None:
    """Say how the desktop stands with the bridge."""
    print(f"{state} {why}".rstrip(), file=sys.stderr, flush=True)


async def main(server: str, customer: str, agent: str) -> None:
    """Print each pop; a real desktop opens its screen here."""
    async with Desktop(server, customer, agent, os.environ["POPBRIDGE_TOKEN"], on_state=tell) as desktop:
        async for pop in desktop:
            data = {name: bytes(value).decode() for name, value in pop.data.items()}
            print(pop.popid, pop.event or pop.campaign, data, flush=True)  # the Cloud API names a campaign


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:4]))
    except NotAuthorised as error:
        sys.exit(f"not authorised: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
