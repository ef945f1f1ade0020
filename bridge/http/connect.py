"""Connect: the door of the Connect API. One request is parsed, admitted, published and answered."""

import re
from collections.abc import Callable

from aiohttp import web

from bridge.connect import admission, controls, reading
from bridge.delivery.delivery import Delivery
from bridge.gate import Gate
from bridge.http import answers, body, credentials, origins, target
from bridge.words import errors
from bridge.words.principal import Role
from bridge.words.settings import Settings
from bridge.words.trigger import Channel

METHODS = ("GET", "POST")
ALLOW = "GET, POST, HEAD, OPTIONS"

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Connect:
    """`GET` and `POST` on `/api/sendmessage/CTI` and `/CRM`."""

    def __init__(self, settings: Callable[[], Settings], gate: Gate, delivery: Delivery) -> None:
        self._settings = settings
        self._gate = gate
        self._delivery = delivery

    async def handle(self, channel: Channel, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a trigger; whatever is wrong is raised as a `Fault` and nothing is published."""
        if request.method == "HEAD" or _is_prefetch(request):
            return answers.empty(200 if request.method == "HEAD" else 204)
        settings = self._settings()
        content = await body.read(request, settings.http.body_timeout)
        read = reading.read(target.query_of(request), request.headers.get("Content-Type", ""), content)
        key = credentials.of_trigger(request, read.key)
        principal = self._gate.verify(key, request.remote or "", Role.KEY)
        customer = settings.customers[principal.customer]
        origins.check(request, settings.customers, customer)
        preferred = controls.preferred_wait(", ".join(request.headers.getall("Prefer", ())))
        wanted = controls.read(read.controls, preferred, _idempotency_key(request))
        reading.withhold(key, read)
        trigger = admission.admit(channel, principal.customer, customer, read, wanted)
        outcome, live = await self._delivery.deliver(trigger, _traceparent(request))
        answer: dict[str, object] = {"success": True}
        if outcome.popid is None:
            answer["dryrun"] = True
        else:
            answer["popid"] = outcome.popid
        answer["status"] = outcome.status
        answer["topic"] = outcome.topic
        answer["receivers"] = outcome.receivers
        if trigger.warnings:
            answer["warnings"] = trigger.warnings
        if live is not None and wanted.wait:
            answer["status"], answer["ms"] = await self._delivery.wait(live, wanted.wait, wanted.until)
        if preferred is None or wanted.dryrun or "pop_wait" in read.controls:
            return answers.ok(answer)
        return answers.ok(answer, {"Preference-Applied": f"wait={wanted.wait:g}"})


def _is_prefetch(request: web.BaseRequest) -> bool:
    said = request.headers
    return request.method == "GET" and any(
        "prefetch" in said.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Moz")
    )


def _idempotency_key(request: web.BaseRequest) -> str | None:
    keys = {
        value
        for name in ("Idempotency-Key", "I-Twilio-Idempotency-Token")
        for value in request.headers.getall(name, [])
    }
    if len(keys) > 1:
        raise errors.invalid_parameter("Idempotency-Key", "came with two different values")
    return keys.pop() if keys else None


def _traceparent(request: web.BaseRequest) -> str | None:
    """Pass on a W3C trace context that is well-formed; anything else is dropped."""
    said = request.headers.get("traceparent", "")
    return said if _TRACEPARENT.fullmatch(said) else None
