"""Desktop token: the door where a person gets a token for their desktop, by user name and password."""

from collections.abc import Callable

from aiohttp import web

from bridge.gate import Gate
from bridge.http import answers, body, credentials
from bridge.words import errors, times
from bridge.words.settings import Settings


class DesktopToken:
    """`POST /api/desktop/token` by Basic auth."""

    def __init__(self, settings: Callable[[], Settings], gate: Gate) -> None:
        self._settings = settings
        self._gate = gate

    async def handle(self, request: web.BaseRequest) -> answers.Answered:
        """Answer the token of the user's agent; the body is not looked at."""
        await body.read(request, self._settings().http.body_timeout)
        found = credentials.basic(request)
        if found is None:
            raise errors.invalid_credentials("The request carries no user name and password (Basic)")
        username, password = found
        grant = await self._gate.grant_desktop(username, password, request.remote or "")
        return answers.ok(
            {
                "success": True,
                "token": grant.token,
                "expires": times.stamp(grant.expires),
                "customer": grant.customer,
                "agentid": grant.agent,
                "username": username,
            }
        )
