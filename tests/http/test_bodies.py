"""Bodies: every form in which one may come, and every form in which it is refused."""

from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.conftest import Caller, Watch

JSON = {"Content-Type": "application/json"}


async def check(trigger: Caller, status: int, code: str, **how: Any) -> dict[str, Any]:
    answer = await trigger(**how)
    assert (answer.status, answer.said.get("code")) == (status, code), answer.said
    return answer.said


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/JSON",
        "APPLICATION/Json; Charset=UTF-8",
        "text/plain",
        "Text/Plain; charset=utf-8",
        "text/plain; charset=ISO-8859-1",
        "text/json",
    ],
)
async def test_json_may_be_sent_under_these_media_types_in_any_case(published: Watch, kind: str) -> None:
    body = f'{{"agentid": "{kind}", "a": 1}}'.encode()
    document = await published(agentid=None, data=body, headers={"Content-Type": kind})
    assert (document["agentid"], document["data"]) == (kind, {"a": 1})


async def test_json_may_be_sent_with_no_content_type(published: Watch, keys: dict[str, str]) -> None:
    document = await published(data=b'{"a": 1}', headers={"Content-Type": ""})
    assert document["data"] == {"a": 1}


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"]
)
async def test_a_form_may_be_urlencoded(published: Watch, kind: str) -> None:
    document = await published(
        agentid=None,
        event=None,
        data=f"agentid={quote(kind)}&event=On+Ring&caller=%2B1555&n=Zo%C3%AB".encode(),
        headers={"Content-Type": kind},
    )
    assert (document["agentid"], document["event"]) == (kind, "On Ring")
    assert document["data"] == {"caller": "+1555", "n": "Zoë"}


async def test_a_form_may_be_multipart(published: Watch) -> None:
    form = aiohttp.FormData({"agentid": "b-3", "caller": "+1555", "note": "Zoë\r\nwas here"}, default_to_multipart=True)
    form.add_field("a", "1")
    form.add_field("a", "2")
    document = await published(agentid=None, data=form)
    assert document["agentid"] == "b-3"
    assert document["data"] == {"caller": "+1555", "note": "Zoë\r\nwas here", "a": ["1", "2"]}


async def test_a_byte_order_mark_is_accepted(published: Watch) -> None:
    assert (await published(data=b'\xef\xbb\xbf{"a": 1}', headers=JSON))["data"] == {"a": 1}


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
async def test_an_empty_body_counts_as_none(published: Watch, kind: str) -> None:
    for body in (b"", b" \r\n"):
        assert (await published(data=body, query="a=1", headers={"Content-Type": kind}))["data"] == {"a": "1"}


async def test_a_get_may_have_a_body_too(published: Watch) -> None:
    assert (await published(method="GET", json={"a": 1}))["data"] == {"a": 1}


async def test_the_documents_own_sample_bodies_are_accepted_with_a_warning(
    published: Watch, keys: dict[str, str]
) -> None:
    crm = f"""{{
    "agentid": "b-4",
    "jwt": "{keys["acme"]}",
    "crmid": "https://acme.example.com/example/ex",
    "event": "On Answer",
    "insert_prop_1": "insert_prop_1_value",
    "insert_prop_2": "insert_prop_2_value",
    "insert_prop_3": "insert_prop_3_value",
}}"""
    document = await published("CRM", agentid=None, jwt=None, event=None, data=crm.encode(), headers=JSON)
    assert document["answer"].codes == ["json_repaired"]
    assert list(document["data"]) == ["insert_prop_1", "insert_prop_2", "insert_prop_3"]
    cti = crm.replace('"crmid": "https://acme.example.com/example/ex"', '"ctiId": "ENV1"').replace("b-4", "b-5")
    document = await published(agentid=None, jwt=None, event=None, data=cti.encode(), headers=JSON)
    assert document["topic"] == "CTI/acme/env1/b-5"
    assert document["answer"].codes == ["json_repaired", "parameter_case"]


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"{", 1, 2),
        (b'{"a": 1,\n "b": }', 2, 7),
        (b'{"a": "un\nescaped"}', 1, 10),
        (b'{"a": "say "hello""}', 1, 13),
        (b"{'a': 1}", 1, 2),
        (b"agentid=1", 1, 1),
        (b'{"a": [1,]}', 1, 10),
        (b'{"a": 1,,}', 1, 9),
        (b'["a"]', 1, 1),
        (b'"a"', 1, 1),
        (b"null", 1, 1),
        (b'{"a": NaN}', 1, 7),
        (b'{"a": -Infinity}', 1, 8),
        (b'{"a": 1, "a": 2}', 1, 10),
        (b'{"a": {"b": 1,\n"b": 1}}', 2, 1),
        (b'{"a": "\\ud800"}', 1, 8),
        (b'{"a": "\xff"}', 1, 8),
        (b'{"a": ' + b"1" * 65 + b"}", 1, 7),
        (b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", 1, 38),
        (b'{"a": ' + b'{"a":' * 50_000, 1, 162),
        (b"[" * 200_000, 1, 33),
    ],
)
async def test_malformed_json_is_400_with_line_and_column(trigger: Caller, body: bytes, line: int, column: int) -> None:
    said = await check(trigger, 400, "malformed_body", data=body, headers=JSON)
    assert (said["line"], said["column"]) == (line, column)
    assert f"line {line}, column {column}" in said["detail"]


async def test_more_than_512_members_in_all_are_refused(published: Watch, trigger: Caller) -> None:
    fits = {str(number): number for number in range(512)}
    assert (await published(json=fits))["data"] == fits
    await check(trigger, 400, "malformed_body", json=fits | {"one": "more"})
    await check(trigger, 400, "malformed_body", json={"deep": {str(number): {"a": 1} for number in range(257)}})


async def test_a_depth_of_32_and_numbers_of_64_digits_are_published(published: Watch) -> None:
    body = b'{"n": ' + b"1" * 64 + b', "a": ' + b"[" * 31 + b"]" * 31 + b"}"
    document = await published(data=body, headers=JSON)
    assert document["payload"].endswith(body.replace(b" ", b"") + b"}")


@pytest.mark.parametrize("where", ["a=%FF", "%FF=a", "agentid=%C3%28", "a=%ED%A0%80"])
async def test_what_is_not_utf_8_is_refused_in_query_and_form(trigger: Caller, where: str) -> None:
    said = await check(trigger, 400, "malformed_body", query=where)
    assert "FF" not in said["detail"]
    await check(
        trigger,
        400,
        "malformed_body",
        data=where.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


async def test_raw_bytes_in_a_form_are_utf_8_or_refused(published: Watch, trigger: Caller) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await published(data="n=Zoë".encode(), headers=form))["data"] == {"n": "Zoë"}
    await check(trigger, 400, "malformed_body", data=b"n=Zo\xeb", headers=form)


@pytest.mark.parametrize("fields", ["&".join(["a=1"] * 600), "&" * 600])
async def test_a_form_or_query_of_too_many_fields_is_refused(trigger: Caller, fields: str) -> None:
    await check(trigger, 400, "malformed_body", query=fields)
    await check(
        trigger,
        400,
        "malformed_body",
        data=fields.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"--b", b"--b--", b"--b\r\n\r\n\r\n--b--", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"],
)
async def test_a_broken_multipart_form_is_refused(trigger: Caller, body: bytes) -> None:
    answer = await trigger(data=body or b"x", headers={"Content-Type": "multipart/form-data; boundary=b"})
    if answer.status == 200:
        assert body == b"--b--"
    else:
        assert answer.said["code"] == "malformed_body"


@pytest.mark.parametrize(
    "kind",
    [
        "application/xml",
        "text/html",
        "application/octet-stream",
        "image/png",
        "json",
        "application/json; charset=utf-16",
    ],
)
async def test_other_media_types_are_415(trigger: Caller, kind: str) -> None:
    await check(trigger, 415, "unsupported_media_type", data=b'{"a": 1}', headers={"Content-Type": kind})


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "compress", "x-gzip", "gzip, gzip", "GZIP", "nonsense"]
)
async def test_an_encoded_body_is_415(trigger: Caller, encoding: str) -> None:
    await check(
        trigger, 415, "unsupported_encoding", data=b"\x1f\x8b" * 50, headers=JSON | {"Content-Encoding": encoding}
    )


async def test_identity_is_no_encoding(published: Watch) -> None:
    document = await published(data=b'{"a": 1}', headers=JSON | {"Content-Encoding": "Identity"})
    assert document["data"] == {"a": 1}


async def test_checks_come_in_the_contracts_order(trigger: Caller) -> None:
    """Size, encoding and media type, form of body, key, parameters, catalogue."""
    wrong: dict[str, Any] = {"jwt": "wrong", "agentid": None, "event": "zzz", "customer": "many"}
    xml = {"Content-Type": "application/xml"}
    huge = b"{" * 262_145
    await check(trigger, 413, "payload_too_large", data=huge, headers=xml | {"Content-Encoding": "gzip"}, **wrong)
    await check(trigger, 415, "unsupported_encoding", data=b"{", headers=xml | {"Content-Encoding": "gzip"}, **wrong)
    await check(trigger, 415, "unsupported_media_type", data=b"{", query="a=%FF", headers=xml, **wrong)
    await check(trigger, 400, "malformed_body", data=b"{", headers=JSON, **wrong)
    await check(trigger, 401, "invalid_key", data=b"{}", headers=JSON, **wrong)
    del wrong["jwt"]
    await check(trigger, 400, "missing_parameter", data=b"{}", headers=JSON, **wrong)
    await check(trigger, 400, "invalid_parameter", data=b"{}", headers=JSON, pop_wait="x", **(wrong | {"agentid": "1"}))
    await check(trigger, 404, "unknown_event", data=b"{}", headers=JSON, **(wrong | {"agentid": "1"}))
