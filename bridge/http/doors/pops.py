"""Pops: the doors where pops, agents and the licence are read, and a pop is recalled."""

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from aiohttp import web

from bridge.delivery.funnel import MOST_HOURS
from bridge.delivery.history import History
from bridge.gate import Gate
from bridge.http import answers, readers
from bridge.words import errors
from bridge.words.answers import FunnelTold
from bridge.words.principal import Principal, Role
from bridge.words.settings import Settings

_POPID = re.compile(r"[A-Za-z0-9_-]{16,40}")


class Pops:
    """`/api/pops`, `/api/agents`, `/api/licence` and `/api/funnel`."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        gate: Gate,
        history: History,
        funnel: Callable[[str, int], FunnelTold],
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._history = history
        self._funnel = funnel

    async def list_pops(self, request: web.BaseRequest) -> answers.Answered:
        """Answer pops, newest first: `agent`, `status`, `since`, `limit`, `cursor`."""
        principal = self._reader(request, Role.DESKTOP, Role.OBSERVER, Role.ADMIN)
        asked = readers.asked(request, {"agent", "status", "since", "limit", "cursor"})
        agent = asked.get("agent")
        if principal.role is Role.DESKTOP:
            if agent not in {None, principal.agent}:
                raise errors.forbidden("A desktop reads its own agent's pops")
            agent = principal.agent
        since = readers.moment("since", asked["since"]) if "since" in asked else None
        found = await self._history.pops(
            principal.customer, agent, asked.get("status"), since, readers.limit(asked), asked.get("cursor")
        )
        return answers.ok(found)

    async def one_pop(self, request: web.BaseRequest, popid: str) -> answers.Answered:
        """Answer one pop, or recall it."""
        recalling = request.method == "DELETE"
        roles = (Role.ADMIN,) if recalling else (Role.KEY, Role.DESKTOP, Role.OBSERVER, Role.ADMIN)
        principal = self._reader(request, *roles)
        if _POPID.fullmatch(popid) is None:
            raise errors.not_found("There is no such pop")
        if recalling:
            await self._history.recall(principal, popid)
        return answers.ok(await self._history.pop(principal, popid))

    async def list_agents(self, request: web.BaseRequest) -> answers.Answered:
        """Answer the agents seen in the last 30 days, the one heard of last first."""
        principal = self._reader(request, Role.OBSERVER, Role.ADMIN)
        asked = readers.asked(request, {"limit", "cursor"})
        found = await self._history.agents(principal.customer, readers.limit(asked), asked.get("cursor"))
        return answers.ok(found)

    async def one_agent(self, request: web.BaseRequest, encoded: str) -> answers.Answered:
        """Answer one agent."""
        principal = self._reader(request, Role.DESKTOP, Role.OBSERVER, Role.ADMIN)
        try:
            agent = unquote_to_bytes(encoded).decode()
        except UnicodeDecodeError:
            raise errors.not_found("There is no such agent") from None
        if principal.role is Role.DESKTOP and agent != principal.agent:
            raise errors.forbidden("A desktop reads its own agent")
        return answers.ok(await self._history.agent(principal.customer, agent))

    async def licence(self, request: web.BaseRequest) -> answers.Answered:
        """Answer the Cloud API's plugin and licence."""
        principal = self._reader(request, Role.OBSERVER, Role.ADMIN)
        cloud = self._settings().customers[principal.customer].cloud
        return answers.ok(self._history.licence(principal.customer, cloud))

    async def funnel(self, request: web.BaseRequest) -> answers.Answered:
        """Answer what became of the pops of the last `hours`."""
        principal = self._reader(request, Role.OBSERVER, Role.ADMIN)
        asked = readers.asked(request, {"hours"})
        hours = readers.whole("hours", asked.get("hours", str(MOST_HOURS)), MOST_HOURS)
        return answers.ok(self._funnel(principal.customer, hours))

    def _reader(self, request: web.BaseRequest, *roles: Role) -> Principal:
        return readers.verify(request, self._gate, self._settings().customers, *roles)
