"""The Cloud API's pop: what it takes, what it publishes, and what it answers, in the vendor's envelope."""

import asyncio
import json
from typing import Any

import pytest

from tests.cloud.office import Office
from tests.cloud.test_token import ENVELOPE, is_refused
from tests.conftest import WITHIN


async def test_a_pop_reaches_the_agents_desktop_and_the_answer_has_the_documents_names(office: Office) -> None:
    agent, reference = office.agent(), office.reference()
    async with office.desk(agent) as desk:
        answer = await office.pop(agent, reference, data={"Contact Name": "Zoë", "Number": 1.50})
        assert answer.status == 200
        assert list(answer.said) == ENVELOPE
        assert answer.said["Success"] is True
        assert list(answer.said["Result"]) == ["PopId", "Status"]
        assert answer.said["Result"]["Status"] == "sent"
        message = await desk.client.message()
        assert message.topic == f"CTI/acme/{agent.id}"
        document = json.loads(message.payload)
        assert list(document) == ["popid", "agentid", "campaign", "reference", "sent", "expires", "ack", "data"]
        assert document["popid"] == answer.said["Result"]["PopId"]
        assert (document["agentid"], document["campaign"], document["reference"]) == (agent.id, "Support", reference)
        assert document["data"] == {"Contact Name": "Zoë", "Number": 1.50}


async def test_the_data_keeps_its_spelling(office: Office) -> None:
    agent = office.agent()
    async with office.desk(agent) as desk:
        said = b'{ "Username": "%s", "Campaign": "Support", "ScriptData": {"b": 1.50, "a": [1e2, null], "c": {}} }'
        assert (await office.post("/api/cloud/pop", said % agent.id.encode(), office.tokens["acme"])).status == 200
        assert b'"data":{"b":1.50,"a":[1e2,null],"c":{}}' in (await desk.client.message()).payload


async def test_without_a_desktop_it_is_held_and_shown_later(office: Office) -> None:
    agent, reference = office.agent(), office.reference()
    answer = await office.pop(agent, reference)
    assert answer.said["Result"]["Status"] == "held"
    async with office.desk(agent) as desk:
        assert (await desk.show())["popid"] == answer.said["Result"]["PopId"]
        await desk.told_until({"current": reference, "activities": []})


async def test_external_links_get_fields_variables_and_all_of_the_data(office: Office) -> None:
    agent = office.agent()
    data = {"Contact Name": "Ann", "Number": 7, "Same": True, "var_city": "Ulm", "var_": None, "other": [1]}
    async with office.desk(agent) as desk:
        await office.pop(agent, campaign="Linked", data=data)
        document = await desk.pop()
        assert document["fields"] == {"contact_name": "Ann", "number": 7, "number_too": True}
        assert document["variables"] == {"var_city": "Ulm", "var_": None}
        assert document["data"] == data
        assert list(document)[-3:] == ["fields", "variables", "data"]


async def test_links_without_anything_to_map_and_inner_campaigns_have_neither_fields_nor_variables(
    office: Office,
) -> None:
    for campaign, data in (("Linked", {"contact name": 1, "VAR_x": 2}), ("Plain", {"Contact Name": 1, "var_x": 2})):
        agent = office.agent()
        async with office.desk(agent) as desk:
            await office.pop(agent, campaign=campaign, data=data)
            document = await desk.pop()
            assert "fields" not in document
            assert "variables" not in document
            assert document["data"] == data


async def test_each_pop_without_a_reference_is_a_record_of_its_own(office: Office) -> None:
    agent = office.agent()
    async with office.desk(agent) as desk:
        popids = []
        for reference in (None, "", None):
            answer = await office.pop(agent, reference)
            assert answer.said["Result"]["Status"] == "sent"
            document = await desk.show()
            assert "reference" not in document
            popids.append(answer.said["Result"]["PopId"])
        await desk.told_until({"current": popids[2], "activities": [popids[1], popids[0]]})


async def test_the_wait_ends_at_shown_and_the_answer_says_so(office: Office) -> None:
    agent = office.agent()
    async with office.desk(agent) as desk:
        for how in ({"pop_wait": 8}, {"headers": {"Prefer": "wait=8"}}):
            asking = office.start_pop(agent, **how)
            await desk.show()
            answer = await asking
            assert answer.said["Result"]["Status"] == "shown"
            if "headers" in how:
                assert answer.headers["Preference-Applied"] == "wait=8"


async def test_a_desktops_refusal_is_told_with_its_reason(office: Office) -> None:
    agent = office.agent()
    async with office.desk(agent) as desk:
        asking = office.start_pop(agent, pop_wait=8)
        await desk.say(popid=(await desk.pop())["popid"], outcome="refused", reason="on a break")
        answer = await asking
        assert answer.status == 200
        assert answer.said["Success"] is True
        assert (answer.said["Result"]["Status"], answer.said["Result"]["Reason"]) == ("refused", "on a break")


async def test_a_dry_run_tells_and_leaves_everything(office: Office) -> None:
    agent, other, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(agent) as desk, office.desk(other) as theirs:
        answer = await office.pop(agent, reference, pop_dryrun=1)
        assert answer.said["Result"] == {"Status": "sent"}
        await desk.nothing()
        await office.pop(other, reference)
        await theirs.show()
        answer = await office.pop(agent, reference, pop_dryrun=1)
        assert (answer.status, answer.said["Result"]["Reason"]) == (409, "record_locked")
        assert "PopId" not in answer.said["Result"]
        answer = await office.pop(other, reference, pop_dryrun=1)
        assert answer.said["Result"] == {"Status": "unchanged"}
        answer = await office.pop(agent, campaign="None such", pop_dryrun=1)
        assert (answer.status, answer.said["Result"]["Reason"]) == (404, "unknown_campaign")
        await desk.nothing()
    answer = await office.pop("someone", customer="off", pop_dryrun=1)
    assert (answer.status, answer.said["Result"]["Reason"]) == (403, "plugin_disabled")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed_body"),
        (b"{}", "missing_parameter"),
        (b'{"Username": "1"}', "missing_parameter"),
        (b'{"Campaign": "Support"}', "missing_parameter"),
        (b'{"username": "1", "campaign": "Support"}', "missing_parameter"),
        (b'{"Username": "", "Campaign": "Support"}', "missing_parameter"),
        (b'{"Username": " ", "Campaign": "Support"}', "missing_parameter"),
        (b'{"Username": null, "Campaign": "Support"}', "missing_parameter"),
        (b'{"Username": "1", "Campaign": "\\t"}', "missing_parameter"),
        (b'{"Username": {}, "Campaign": "Support"}', "invalid_parameter"),
        (b'{"Username": "1", "Campaign": ["Support"]}', "invalid_parameter"),
        (b'{"Username": "1", "Campaign": "Support", "ScriptData": []}', "invalid_parameter"),
        (b'{"Username": "1", "Campaign": "Support", "ScriptData": "x"}', "invalid_parameter"),
        (b'{"Username": "1\\u0007", "Campaign": "Support"}', "invalid_parameter"),
        (b'{"Username": "1", "Campaign": "Support", "Reference": "\\uffff"}', "invalid_parameter"),
        (b'{"Username": "' + b"1" * 129 + b'", "Campaign": "Support"}', "invalid_parameter"),
        (b"[]", "malformed_body"),
        (b"null", "malformed_body"),
        (b'"x"', "malformed_body"),
        (b'{"Username": "1", "Campaign": ', "malformed_body"),
        (b'{"Username": "1", "Username": "2", "Campaign": "Support"}', "malformed_body"),
        (b'{"Username": "\xff", "Campaign": "Support"}', "malformed_body"),
        (b'{"Username": "\\ud800", "Campaign": "Support"}', "malformed_body"),
        (b'{"Username": "1", "Campaign": "Support", "ScriptData": {"a": NaN}}', "malformed_body"),
        (b'{"Username": "1", "Campaign": "Support", "ScriptData": {"a": 1, "a": 2}}', "malformed_body"),
        (
            b'{"Username": "1", "Campaign": "Support", "ScriptData": {"a":' + b"[" * 40 + b"]" * 40 + b"}}",
            "malformed_body",
        ),
        (b"Username=1&Campaign=Support", "malformed_body"),
    ],
)
async def test_what_cannot_be_read_is_a_400_in_the_envelope(office: Office, body: bytes, reason: str) -> None:
    assert is_refused(await office.post("/api/cloud/pop", body, office.tokens["acme"]), 400, reason)


@pytest.mark.parametrize(
    "query", [{"pop_wait": "9"}, {"pop_ttl": "0"}, {"pop_until": "never"}, {"pop_dryrun": "maybe"}, {"pop_key": " "}]
)
async def test_controls_out_of_range_are_a_400_in_the_envelope(office: Office, query: dict[str, Any]) -> None:
    assert is_refused(await office.pop("nobody", **query), 400, "invalid_parameter")


async def test_the_form_is_looked_at_before_the_token_and_the_token_before_the_parameters(office: Office) -> None:
    assert is_refused(await office.post("/api/cloud/pop", b"{", "no token"), 400, "malformed_body")
    assert is_refused(await office.post("/api/cloud/pop", b"{}", "no token"), 401)
    assert is_refused(await office.pop("nobody", token="no token", pop_wait=9), 401)


async def test_too_much_is_a_413_in_the_envelope(office: Office) -> None:
    for size in (200_000, 300_000):
        answer = await office.pop(office.agent(), data={"a": "x" * size})
        assert is_refused(answer, 413, "payload_too_large")


async def test_encodings_and_methods_are_refused_in_the_envelope(office: Office) -> None:
    answer = await office.pop("nobody", headers={"Content-Encoding": "gzip"})
    assert is_refused(answer, 415, "unsupported_encoding")
    assert is_refused(await office.get("/api/cloud/pop", office.tokens["acme"]), 405, "method_not_allowed")
    assert is_refused(await office.get("/api/cloud/token/refresh"), 405, "method_not_allowed")
    answer = await office.post("/api/cloud/token", b"")
    assert is_refused(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
    answer = await office.pop("nobody", headers={"Origin": "https://elsewhere.example.com"})
    assert is_refused(answer, 403, "forbidden")


async def test_an_unknown_campaign_is_a_404_that_names_the_nearest(office: Office) -> None:
    for campaign in ("support", "Suport"):
        agent = office.agent()
        async with office.desk(agent) as desk:
            answer = await office.pop(agent, campaign=campaign)
            assert answer.status == 404
            assert list(answer.said) == ENVELOPE
            assert answer.said["Success"] is False
            assert list(answer.said["Result"]) == ["PopId", "Status", "Reason", "Detail"]
            assert answer.said["Result"]["Status"] == "refused"
            assert answer.said["Result"]["Reason"] == "unknown_campaign"
            assert "'Support'" in answer.said["Result"]["Detail"]
            await desk.nothing()


async def test_a_plugin_that_is_off_is_a_403(office: Office) -> None:
    answer = await office.pop("someone", customer="off")
    assert (answer.status, answer.said["Success"]) == (403, False)
    assert (answer.said["Result"]["Status"], answer.said["Result"]["Reason"]) == ("refused", "plugin_disabled")


async def test_vendor_exact_answers_200_and_success_to_everything_received(office: Office) -> None:
    mine, theirs, reference = office.agent("exact"), office.agent("exact"), office.reference()
    async with office.desk(mine, "exact") as desk, office.desk(theirs, "exact") as other:
        await office.pop(theirs, reference, "exact")
        await other.show()
        locked = await office.pop(mine, reference, "exact")
        unknown = await office.pop(mine, campaign="None such", customer="exact")
        for answer, reason in ((locked, "record_locked"), (unknown, "unknown_campaign")):
            assert (answer.status, answer.said["Success"]) == (200, True)
            assert (answer.said["Result"]["Status"], answer.said["Result"]["Reason"]) == ("refused", reason)
        await desk.nothing()
    assert is_refused(await office.pop("nobody", customer="exact", token="x"))


async def test_a_locked_record_is_a_409_that_names_the_holder(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        await office.pop(theirs, reference)
        await other.show()
        answer = await office.pop(mine, reference)
        assert (answer.status, answer.said["Success"]) == (409, False)
        assert answer.said["Result"]["Reason"] == "record_locked"
        assert theirs.id in answer.said["Result"]["Detail"]
        await desk.nothing()


async def test_idempotency_is_in_the_clouds_own_scope_and_only_success_is_remembered(office: Office) -> None:
    agent, key = office.agent(), f"key of {office.reference()}"
    async with office.desk(agent) as desk:
        said = {"agentid": agent.id, "event": "On Ring", "jwt": office.bridge.key(), "pop_key": key}
        connect = await office.post("/api/sendmessage/CTI", said)
        first = await office.pop(agent, pop_key=key)
        again = await office.pop(agent, headers={"Idempotency-Key": key})
        assert (connect.status, first.status, again.status) == (200, 200, 200)
        assert first.said["Result"]["PopId"] != connect.said["popid"]
        assert again.said == first.said
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
        answer = await office.pop(agent, "another", pop_key=key)
        assert is_refused(answer, 422, "idempotency_mismatch")
        for _ in range(2):
            await desk.pop()
        await desk.no_pop()
        for _ in range(2):
            answer = await office.pop(agent, campaign="None such", pop_key=f"{key} too")
            assert answer.status == 404
            assert "Idempotent-Replayed" not in answer.headers


async def test_identical_pops_are_no_duplicates(office: Office) -> None:
    agent = office.agent()
    async with office.desk(agent) as desk:
        popids = [(await office.pop(agent)).said["Result"]["PopId"] for _ in range(3)]
        assert [(await desk.pop())["popid"] for _ in range(3)] == popids
        assert len(set(popids)) == 3


async def test_a_rate_limit_is_a_429_in_the_envelope(office: Office) -> None:
    accepted = 0
    async with asyncio.timeout(WITHIN):
        while (answer := await office.pop("nobody", customer="slow")).status == 200:
            accepted += 1
    assert accepted >= 2
    assert is_refused(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
