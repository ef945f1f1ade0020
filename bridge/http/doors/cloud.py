"""Cloud: the doors of the Cloud API, in the vendor's envelope: token by Basic auth, refresh, pop by Bearer."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from bridge.cloud import campaigns, reading
from bridge.connect import forms
from bridge.delivery.lifecycle import Status
from bridge.delivery.repeats import Answer
from bridge.delivery.triggers import Handled, Triggers
from bridge.gate import CloudGrant, Gate
from bridge.http import answers, body, credentials, headers, origins
from bridge.words import errors, times
from bridge.words.answers import VERSION, CloudAnswer, CloudResult, TokenAnswer, TokenResult, TokenUser
from bridge.words.settings import Settings
from bridge.words.trigger import Trigger

# HTTP's word for a pop that the bridge refused.
_REFUSED = {"record_locked": 409, "no_licence": 403, "plugin_disabled": 403, "unknown_campaign": 404}
_CONTROL = "pop_"


class CloudApi:
    """`GET /api/cloud/token`, `POST /api/cloud/token/refresh`, `POST /api/cloud/pop`."""

    def __init__(self, settings: Callable[[], Settings], gate: Gate, triggers: Triggers) -> None:
        self._settings = settings
        self._gate = gate
        self._triggers = triggers

    async def token(self, request: web.BaseRequest) -> answers.Answered:
        """Answer tokens for a Cloud user's name and password."""
        if request.method == "HEAD":
            return answers.empty(200)
        await body.read(request, self._settings().http.body_timeout)
        found = credentials.basic(request)
        if found is None:
            raise errors.invalid_credentials("The request carries no user name and password (Basic)")
        return _tokens(await self._gate.grant_cloud(*found, request.remote or ""))

    async def refresh(self, request: web.BaseRequest) -> answers.Answered:
        """Answer new tokens for a RefreshToken, which ends."""
        content = await body.read(request, self._settings().http.body_timeout)
        return _tokens(await self._gate.refresh_cloud(reading.read_refresh(content), request.remote or ""))

    async def pop(self, request: web.BaseRequest) -> answers.Answered:
        """Pop a campaign's workflow for an agent."""
        settings = self._settings()
        members = reading.read_members(await body.read(request, settings.http.body_timeout))
        principal = self._gate.verify_cloud(credentials.bearer(request) or "", request.remote or "")
        customer = settings.customers[principal.customer]
        origins.check(request, settings.customers, customer)
        given = dict(forms.read_urlencoded(headers.query(request), "query"))
        wanted = headers.read_controls(
            request, {name: text for name, text in given.items() if name.startswith(_CONTROL)}
        )
        said = reading.read_pop(members)
        trigger = campaigns.admit(principal.customer, customer, said, wanted, headers.traceparent(request))
        exact = customer.cloud.vendor_exact
        answer, replayed = await self._triggers.handle(
            trigger, principal.id, lambda handled: _spell(handled, trigger, exact=exact), per_second=customer.rate_limit
        )
        fields = headers.preference_applied(request, wanted)
        return answers.json(
            answer.status, answer.body, fields | {"Idempotent-Replayed": "true"} if replayed else fields
        )


def refusal(fault: errors.Fault, accept: str = "", *, close: bool = False) -> answers.Answer:
    """Answer a refusal in the vendor's envelope, whatever Accept asks."""
    del accept
    result = CloudResult(status="error", reason=fault.problem.code, detail=f"{fault.detail} {fault.problem.hint}")
    answer = CloudAnswer(success=False, result=result, version=VERSION)
    response = answers.json(fault.problem.status, msgspec.json.encode(answer), fault.headers)
    if close:
        response.keep_alive = False
    return response


def _tokens(grant: CloudGrant) -> answers.Answered:
    user = TokenUser(
        username=grant.username,
        email=grant.username if "@" in grant.username else "",
        attributes={},
        created=times.stamp(grant.created),
        last_updated=times.stamp(grant.updated),
        status="CONFIRMED",
    )
    result = TokenResult(
        authenticated=True,
        id_token=grant.id_token,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        expires_in=grant.expires_in,
        user=user,
    )
    return answers.json(200, msgspec.json.encode(TokenAnswer(success=True, result=result, version=VERSION)))


def _spell(handled: Handled, trigger: Trigger, *, exact: bool) -> Answer:
    outcome = handled.outcome
    refused = handled.status == Status.REFUSED and outcome.reason in _REFUSED
    detail = f"The record is open at agent {outcome.holder}." if outcome.holder else trigger.hint
    result = CloudResult(pop_id=outcome.popid, status=handled.status, reason=outcome.reason, detail=detail)
    success = exact or not refused
    answer = CloudAnswer(success=success, result=result, version=VERSION)
    return Answer(200 if success else _REFUSED[outcome.reason or ""], msgspec.json.encode(answer))
