"""Connect: the door of the Connect API. One request is parsed, admitted, recorded, published and answered."""

from collections.abc import Callable
from functools import partial

import msgspec
from aiohttp import web

from bridge.connect import admission, reading
from bridge.delivery.repeats import Answer
from bridge.delivery.triggers import Handled, Triggers
from bridge.gate import Gate
from bridge.http import answers, body, credentials, headers, origins
from bridge.http.dispatch import Route
from bridge.words.answers import Accepted
from bridge.words.principal import Role
from bridge.words.settings import Settings
from bridge.words.trigger import Channel, Trigger

METHODS = ("GET", "POST")
ALLOW = "GET, POST, HEAD, OPTIONS"


class Connect:
    """`GET` and `POST` on `/api/sendmessage/CTI` and `/CRM`."""

    def __init__(self, settings: Callable[[], Settings], gate: Gate, triggers: Triggers) -> None:
        self._settings = settings
        self._gate = gate
        self._triggers = triggers

    async def handle(self, channel: Channel, request: web.BaseRequest) -> answers.Answered:
        """Answer a trigger; whatever is wrong is raised as a `Fault` and nothing is published."""
        if request.method == "HEAD" or _is_prefetch(request):
            return answers.empty(200 if request.method == "HEAD" else 204)
        settings = self._settings()
        content = await body.read(request, settings.http.body_timeout)
        read = reading.read(headers.query(request), request.headers.get("Content-Type", ""), content)
        key = credentials.of_trigger(request, read.key)
        principal = self._gate.verify(key, request.remote or "", Role.KEY)
        customer = settings.customers[principal.customer]
        origins.check(request, settings.customers, customer)
        wanted = headers.read_controls(request, read.controls)
        reading.withhold(key, read)
        trigger = admission.admit(channel, principal.customer, customer, read, wanted, headers.traceparent(request))
        answer, replayed = await self._triggers.handle(
            trigger,
            principal.id,
            lambda handled: _spell(handled, trigger),
            window=customer.duplicate_window,
            per_second=customer.rate_limit,
        )
        fields = headers.preference_applied(request, wanted)
        return answers.json(
            answer.status, answer.body, fields | {"Idempotent-Replayed": "true"} if replayed else fields
        )


def routes(door: Connect) -> dict[str, Route]:
    """List the paths of the Connect API."""
    return {
        f"/api/sendmessage/{channel.lower()}": Route(
            f"connect_{channel.lower()}", partial(door.handle, channel), METHODS, ALLOW, whole=True
        )
        for channel in (Channel.CTI, Channel.CRM)
    }


def _spell(handled: Handled, trigger: Trigger) -> Answer:
    outcome = handled.outcome
    accepted = Accepted(
        success=True,
        dryrun=trigger.controls.dryrun,
        popid=outcome.popid,
        status=handled.status,
        topic=outcome.topic,
        receivers=outcome.receivers,
        reason=outcome.reason,
        holder=outcome.holder,
        suspended=outcome.suspended,
        warnings=trigger.warnings,
        ms=handled.ms,
    )
    return Answer(200, msgspec.json.encode(accepted))


def _is_prefetch(request: web.BaseRequest) -> bool:
    if request.method != "GET":
        return False
    said = request.headers
    purposes = said.get("Sec-Purpose", ""), said.get("Purpose", ""), said.get("X-Moz", "")
    return "prefetch" in " ".join(purposes).lower()
