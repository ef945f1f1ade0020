"""Parameters over HTTP: names, values, where they may come from, and what is published of them."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Caller, Watch


async def check(trigger: Caller, status: int, code: str, **how: Any) -> str:
    answer = await trigger(**how)
    assert (answer.status, answer.said.get("code")) == (status, code), answer.said
    detail = answer.said["detail"]
    assert isinstance(detail, str)
    return detail


async def test_a_get_with_the_documents_parameters_is_published(published: Watch) -> None:
    document = await published(agentid="g-1", query="prop1=one&prop2=two+words")
    assert document["topic"] == "CTI/acme/g-1"
    assert document["event"] == "On Ring"
    assert document["data"] == {"prop1": "one", "prop2": "two words"}
    assert "jwt" not in document


@pytest.mark.parametrize("channel", ["CTI", "CRM"])
async def test_agentid_jwt_and_event_are_required(trigger: Caller, channel: str) -> None:
    for name in ("agentid", "event"):
        assert f"`{name}`" in await check(trigger, 400, "missing_parameter", channel=channel, **{name: None})
        assert f"`{name}`" in await check(trigger, 400, "missing_parameter", channel=channel, **{name: ""})
        assert f"`{name}`" in await check(trigger, 400, "missing_parameter", channel=channel, **{name: " "})
    await check(trigger, 401, "missing_key", channel=channel, jwt=None)
    await check(trigger, 401, "missing_key", channel=channel, jwt="")


async def test_crmid_is_required_on_crm_unless_there_is_one_or_the_customer_says_otherwise(
    published: Watch, trigger: Caller
) -> None:
    await check(trigger, 400, "missing_parameter", channel="CRM", customer="many")
    assert (await published("CRM"))["crmid"] == "acme.example.com"
    free = await published("CRM", "free", agentid="f-1")
    assert "crmid" not in free
    assert free["topic"] == "CRM/free/f-1"


async def test_crmid_may_be_a_url_or_a_host_and_is_published_as_configured(published: Watch) -> None:
    for spelled in ("https://ONE.example.com/example/ex", "one.EXAMPLE.com", "http://u@one.example.com:8080"):
        document = await published("CRM", "many", crmid=spelled)
        assert document["crmid"] == "One.example.com"
        assert document["topic"] == f"CRM/many/One.example.com/{document['agentid']}"


@pytest.mark.parametrize("channel", ["CTI", "CRM"])
async def test_a_host_that_the_customer_does_not_have_is_404_with_the_nearest(trigger: Caller, channel: str) -> None:
    detail = await check(trigger, 404, "unknown_crmid", channel=channel, crmid="https://acme.exampel.com/x")
    assert "acme.example.com" in detail


async def test_ctiid_goes_into_the_topic_of_cti_in_the_configured_spelling(published: Watch) -> None:
    document = await published(agentid="e-1", ctiid="ENV1")
    assert (document["ctiid"], document["topic"]) == ("env1", "CTI/acme/env1/e-1")


async def test_an_unknown_ctiid_is_published_in_lower_case_with_a_warning(published: Watch) -> None:
    document = await published(agentid="e-2", ctiid="Env9")
    assert (document["ctiid"], document["topic"]) == ("env9", "CTI/acme/env9/e-2")
    assert document["answer"].codes == ["unknown_ctiid"]


async def test_on_crm_ctiid_goes_into_the_document_only(published: Watch) -> None:
    document = await published("CRM", agentid="e-3", ctiid="env1")
    assert (document["ctiid"], document["topic"]) == ("env1", "CRM/acme/acme.example.com/e-3")


async def test_another_casing_is_accepted_with_a_warning(published: Watch) -> None:
    document = await published(agentid=None, ctiId="env1", query="agentId=n-1")
    assert (document["agentid"], document["ctiid"]) == ("n-1", "env1")
    assert document["answer"].codes == ["parameter_case", "parameter_case"]


async def test_two_other_casings_with_different_values_are_ambiguous(trigger: Caller) -> None:
    await check(trigger, 400, "ambiguous_parameter", agentid=None, query="agentId=1&AGENTID=2")


async def test_other_casings_beside_the_lower_case_name_are_data(published: Watch) -> None:
    document = await published(agentid="n-2", agentId="other")
    assert document["agentid"] == "n-2"
    assert document["data"] == {"agentId": "other"}
    assert document["answer"].codes == []


async def test_the_same_reserved_name_with_two_values_is_ambiguous(trigger: Caller) -> None:
    await check(trigger, 400, "ambiguous_parameter", query="agentid=second")
    await check(trigger, 400, "ambiguous_parameter", json={"agentid": "second"})
    await check(trigger, 400, "ambiguous_parameter", json={"jwt": "second"})
    await check(trigger, 400, "ambiguous_parameter", query="pop_ttl=2")


async def test_reserved_numbers_and_booleans_become_text(published: Watch) -> None:
    document = await published(agentid=None, json={"agentid": 1001, "ctiid": True})
    assert (document["agentid"], document["ctiid"], document["topic"]) == ("1001", "true", "CTI/acme/true/1001")


async def test_reserved_null_counts_as_missing(trigger: Caller) -> None:
    await check(trigger, 400, "missing_parameter", agentid=None, json={"agentid": None})


async def test_data_keeps_the_spelling_of_its_numbers_its_types_and_its_order(published: Watch) -> None:
    body = (
        '{ "z": 1.50 , "big": 123456789012345678901234567890, "e": 1E+2, "s": "\\u00e9 / \\/",'
        '  "n": null,\n "o": { "b": [ 1, 2.0 ], "a": true } }'
    )
    document = await published(data=body.encode(), headers={"Content-Type": "application/json"})
    assert document["payload"].endswith(
        b'"data":{"z":1.50,"big":123456789012345678901234567890,"e":1E+2,"s":"\\u00e9 / \\/",'
        b'"n":null,"o":{"b":[1,2.0],"a":true}}}'
    )


async def test_a_data_name_repeated_in_query_or_form_becomes_a_list_of_strings(published: Watch) -> None:
    assert (await published(query="a=1&b=x&a=2"))["data"] == {"a": ["1", "2"], "b": "x"}
    form = await published(data=b"a=1&a=2", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form["data"] == {"a": ["1", "2"]}


async def test_data_in_both_query_and_body_is_the_bodys_with_a_warning(published: Watch) -> None:
    document = await published(query="a=query&b=1", json={"a": [1]})
    assert document["data"] == {"a": [1], "b": "1"}
    assert document["answer"].codes == ["data_overridden"]


async def test_the_event_catalogue_warns_rejects_or_passes(published: Watch, trigger: Caller) -> None:
    document = await published(event="on ring")
    assert document["event"] == "on ring"
    (warning,) = document["answer"].said["warnings"]
    assert warning.startswith("unknown_event: ")
    detail = await check(trigger, 404, "unknown_event", customer="many", event="on ring")
    for said in (warning, detail):
        assert "`On Ring`" in said
        assert "case" in said
    refused = await trigger("CTI", "many", event="zzz")
    for said in (warning, refused.said["hint"]):
        assert "typed correctly" in said
        assert "published to that event" in said
        assert "profile" in said
    assert (await published("CTI", "free", event="anything at all"))["answer"].codes == []
    assert (await published("CTI", "other", event="anything at all"))["answer"].codes == []


async def test_an_event_is_compared_exactly(trigger: Caller) -> None:
    for event, kind in (("On Ring ", "spaces"), ("OnRing", "spaces"), ("ON RING", "case"), ("On Rin", "letters")):
        assert f"differs in {kind}" in await check(trigger, 404, "unknown_event", customer="many", event=event)


@pytest.mark.parametrize("value", ["{insert_agentId}", "${x}", "$(x)", "%%x%%", "{{x}}"])
async def test_unfilled_placeholders_are_published_with_a_warning(published: Watch, value: str) -> None:
    document = await published(agentid=value, query=f"a={quote(value)}")
    assert document["agentid"] == value
    assert document["data"] == {"a": value}
    assert document["answer"].codes == ["placeholder", "placeholder"]


async def test_a_plus_lost_from_a_telephone_number_is_told(published: Watch) -> None:
    document = await published(query="caller=+15551234567&other=%2B15551234567&note=+a")
    assert document["data"] == {"caller": " 15551234567", "other": "+15551234567", "note": " a"}
    assert document["answer"].codes == ["plus_lost"]


async def test_names_of_a_url_copied_from_html_are_told(published: Watch) -> None:
    document = await published(event=None, query="amp;event=On+Ring&amp;a=1")
    assert (document["event"], document["data"]) == ("On Ring", {"a": "1"})
    assert document["answer"].codes == ["html_entity", "html_entity"]


async def test_a_value_encoded_twice_is_told(published: Watch) -> None:
    document = await published(query="a=two%2520words")
    assert document["data"] == {"a": "two%20words"}
    assert document["answer"].codes == ["double_encoded"]


@pytest.mark.parametrize(
    ("agentid", "level"),
    [
        ("site/12", "site%2F12"),
        ("a+b", "a%2Bb"),
        ("100%", "100%25"),
        ("#", "%23"),
        ("$SYS", "%24SYS"),
        ("D\\Zoë", "D\\Zoë"),
    ],
)
async def test_topic_levels_are_percent_encoded_and_the_document_is_raw(
    published: Watch, agentid: str, level: str
) -> None:
    document = await published(agentid=agentid, ctiid="a/b")
    assert document["agentid"] == agentid
    assert document["topic"] == f"CTI/acme/a%2Fb/{level}"
    assert document["ack"] == f"ACK/acme/{level}"


async def test_control_characters_in_an_id_are_refused(trigger: Caller) -> None:
    for bad in ("a\nb", "a\0", "\x7fa", "a\ufffe", "a\uffff", "a\u0085b"):
        await check(trigger, 400, "invalid_parameter", agentid=bad)
        await check(trigger, 400, "invalid_parameter", ctiid=bad)


async def test_an_agentid_has_1_to_128_characters(published: Watch, trigger: Caller) -> None:
    assert (await published(agentid="é" * 128))["agentid"] == "é" * 128
    await check(trigger, 400, "invalid_parameter", agentid="é" * 129)


async def test_the_customer_comes_from_the_credential_never_from_a_parameter(published: Watch) -> None:
    document = await published(query="customer=other&CustomerID=other&customerid=other")
    assert document["topic"] == f"CTI/acme/{document['agentid']}"
    assert document["data"] == {"customer": "other", "CustomerID": "other", "customerid": "other"}


async def test_the_document_has_its_keys_in_order_and_its_times_in_utc(published: Watch) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    document = await published(
        "CRM", agentid="k-1", ctiid="env1", pop_ttl=60, headers={"traceparent": trace}, query="a=1"
    )
    assert list(json.loads(document["payload"])) == [
        "popid",
        "event",
        "agentid",
        "crmid",
        "ctiid",
        "sent",
        "expires",
        "ack",
        "traceparent",
        "data",
    ]
    assert document["traceparent"] == trace
    assert b"\n" not in document["payload"]
    assert document["sent"][-1] == document["expires"][-1] == "Z"
    assert document["sent"] < document["expires"]
    least = await published(agentid="k-2")
    assert list(json.loads(least["payload"])) == ["popid", "event", "agentid", "sent", "expires", "ack", "data"]


@pytest.mark.parametrize("trace", ["x", "00-zz-b7ad6b7169203331-01", "00-" + "0" * 300])
async def test_a_malformed_trace_context_is_dropped(published: Watch, trace: str) -> None:
    assert "traceparent" not in await published(headers={"traceparent": trace})


async def test_controls_out_of_range_are_refused(trigger: Caller) -> None:
    cases = [
        {"pop_wait": "9"},
        {"pop_wait": "-1"},
        {"pop_wait": "soon"},
        {"pop_until": "held"},
        {"pop_ttl": "0"},
        {"pop_ttl": "3601"},
        {"pop_key": " "},
        {"pop_dryrun": "maybe"},
    ]
    details = await asyncio.gather(*(check(trigger, 400, "invalid_parameter", **case) for case in cases))
    for case, detail in zip(cases, details, strict=True):
        assert f"`{next(iter(case))}`" in detail


async def test_controls_may_come_in_the_body_and_never_reach_the_data(published: Watch) -> None:
    document = await published(
        pop_ttl=None, json={"pop_ttl": 60, "pop_until": "delivered", "pop_key": "c-body", "a": 1}
    )
    assert document["data"] == {"a": 1}
    assert document["answer"].codes == []


async def test_other_names_beginning_pop_are_dropped_with_a_warning(published: Watch) -> None:
    document = await published(query="pop_colour=red", json={"pop_size": 1, "popcorn": 1})
    assert document["data"] == {"popcorn": 1}
    assert document["answer"].codes == ["unknown_control", "unknown_control"]


async def test_two_different_keys_in_one_request_are_refused(trigger: Caller) -> None:
    await check(trigger, 400, "invalid_parameter", pop_key="one", headers={"Idempotency-Key": "two"})
    await check(
        trigger, 400, "invalid_parameter", headers={"Idempotency-Key": "one", "I-Twilio-Idempotency-Token": "two"}
    )
    same = await trigger(pop_key="kkk", headers={"Idempotency-Key": "kkk", "I-Twilio-Idempotency-Token": "kkk"})
    assert same.status == 200


async def test_several_mistakes_are_told_in_one_answer(trigger: Caller) -> None:
    answer = await trigger(
        agentid=None, event="on ring", ctiid="X", query="agentId=%7Bagent%7D&amp;b=%252B&pop_x=1&a=1", json={"a": 2}
    )
    assert answer.status == 200
    assert set(answer.codes) == {
        "html_entity",
        "double_encoded",
        "unknown_control",
        "data_overridden",
        "parameter_case",
        "placeholder",
        "unknown_ctiid",
        "unknown_event",
    }
    for warning in answer.said["warnings"]:
        code, separator, sentence = warning.partition(": ")
        assert code.replace("_", "").isalpha()
        assert separator
        assert sentence.endswith(".")
