"""Admission: parameters and catalogue turn what was read into a trigger, or refuse it."""

import msgspec
import pytest

from bridge.connect.admission import admit, host_of
from bridge.connect.reading import Reading
from bridge.words.errors import Fault
from bridge.words.settings import Customer
from bridge.words.trigger import Channel, Controls, Trigger

ACME = Customer(crm=["Acme.example.com"], cti=["Env1"], events=["On Ring", "On Answer"], unknown_event="warn")
MANY = Customer(crm=["one.example.com", "two.example.com"], events=["On Ring"], unknown_event="reject")
FREE = Customer(require_crmid=False, unknown_event="pass")
ANY = Customer()

RING = {"agentid": "1001", "event": "On Ring"}


def trigger(
    customer: Customer, channel: Channel = Channel.CTI, controls: Controls | None = None, /, **given: str
) -> Trigger:
    return admit(channel, "acme", customer, Reading({**RING, **given}, "K", {}, {}, []), controls or Controls())


def refused(customer: Customer, channel: Channel = Channel.CTI, /, **given: str) -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        trigger(customer, channel, **given)
    return caught.value.problem.code, caught.value.detail


@pytest.mark.parametrize("name", ["agentid", "event"])
@pytest.mark.parametrize("channel", [Channel.CTI, Channel.CRM])
def test_agentid_and_event_are_required(name: str, channel: Channel) -> None:
    given = {other: value for other, value in RING.items() if other != name}
    with pytest.raises(Fault) as caught:
        admit(channel, "acme", ACME, Reading(given, "K", {}, {}, []), Controls())
    assert (caught.value.problem.code, caught.value.detail) == ("missing_parameter", f"`{name}` is required.")


@pytest.mark.parametrize("name", ["agentid", "event", "crmid", "ctiid"])
@pytest.mark.parametrize("value", ["", " ", "\t", "\u00a0"])
def test_empty_or_blank_counts_as_missing(name: str, value: str) -> None:
    assert refused(ACME, Channel.CRM, **{name: value}) == ("missing_parameter", f"`{name}` is empty.")


def test_crmid_is_required_on_crm_where_there_are_several() -> None:
    assert refused(MANY, Channel.CRM)[0] == "missing_parameter"
    assert refused(ANY, Channel.CRM)[0] == "missing_parameter"
    assert trigger(MANY).crmid is None


def test_the_only_crm_instance_is_taken_on_crm() -> None:
    assert trigger(ACME, Channel.CRM).topic == "CRM/acme/Acme.example.com/1001"
    assert trigger(ACME, Channel.CTI).crmid is None


def test_require_crmid_false_leaves_it_out() -> None:
    assert trigger(FREE, Channel.CRM).topic == "CRM/acme/1001"
    many = msgspec.structs.replace(MANY, require_crmid=False)
    assert trigger(many, Channel.CRM).topic == "CRM/acme/1001"


@pytest.mark.parametrize(
    "crmid",
    [
        "Acme.example.com",
        "ACME.EXAMPLE.COM",
        "https://acme.example.com",
        "https://acme.example.com/example/ex?a=b#c",
        "HTTP://user:pw@acme.example.com:8443/x",
        "acme.example.com/path",
        "acme.example.com:443",
        " acme.example.com ",
        "//acme.example.com/",
    ],
)
@pytest.mark.parametrize("channel", [Channel.CTI, Channel.CRM])
def test_crmid_may_be_a_url_or_a_host_and_is_published_as_configured(crmid: str, channel: Channel) -> None:
    assert trigger(ACME, channel, crmid=crmid).crmid == "Acme.example.com"


def test_a_crm_instance_configured_as_a_url_is_compared_by_its_host() -> None:
    assert trigger(Customer(crm=["https://Acme.example.com/app"]), crmid="acme.example.com").crmid == "Acme.example.com"


@pytest.mark.parametrize("channel", [Channel.CTI, Channel.CRM])
def test_an_unknown_crmid_is_refused_with_the_nearest(channel: Channel) -> None:
    code, detail = refused(ACME, channel, crmid="https://acme.exmaple.com/x")
    assert code == "unknown_crmid"
    assert "`acme.exmaple.com`" in detail
    assert "did you mean `Acme.example.com`?" in detail


def test_a_customer_without_a_list_takes_any_host() -> None:
    assert (
        trigger(ANY, Channel.CRM, crmid="https://Anything.example.org/").topic == "CRM/acme/anything.example.org/1001"
    )


@pytest.mark.parametrize("crmid", ["https://", "/", "?", "https:///x", ":80"])
def test_a_crmid_without_a_host_is_invalid(crmid: str) -> None:
    assert refused(ANY, Channel.CRM, crmid=crmid)[0] == "invalid_parameter"


@pytest.mark.parametrize("ctiid", ["Env1", "env1", "ENV1"])
def test_ctiid_is_compared_without_case_and_published_as_configured(ctiid: str) -> None:
    found = trigger(ACME, ctiid=ctiid)
    assert (found.ctiid, found.topic, found.warnings) == ("Env1", "CTI/acme/Env1/1001", [])


def test_an_unknown_ctiid_is_published_in_lower_case_with_a_warning() -> None:
    found = trigger(ACME, ctiid="Env9")
    assert found.topic == "CTI/acme/env9/1001"
    assert found.warnings[0].startswith("unknown_ctiid: ")


def test_on_crm_ctiid_goes_into_the_document_only() -> None:
    found = trigger(ACME, Channel.CRM, ctiid="ENV1")
    assert (found.ctiid, found.topic) == ("Env1", "CRM/acme/Acme.example.com/1001")


@pytest.mark.parametrize(
    ("event", "kind"),
    [("on ring", "case"), ("OnRing", "spaces"), ("on  ring", "case and spaces"), ("On Rng", "letters")],
)
def test_an_unlisted_event_is_told_with_the_nearest_and_how_it_differs(event: str, kind: str) -> None:
    note = trigger(ACME, event=event).warnings[0]
    code, detail = refused(MANY, event=event)
    assert code == "unknown_event"
    assert note.startswith("unknown_event: ")
    for text in (note, detail):
        assert f"the nearest is `On Ring`, which differs in {kind}" in text


def test_the_documents_three_checks_are_told() -> None:
    note = trigger(ACME, event="zzz").warnings[0]
    assert "typed correctly" in note
    assert "published to that event" in note
    assert "profile matches" in note


def test_events_that_are_listed_or_passed_are_not_warned_of() -> None:
    assert trigger(ACME).warnings == []
    assert trigger(FREE, event="anything").warnings == []
    assert trigger(ANY, event="anything").warnings == []


@pytest.mark.parametrize("bad", ["a\x00b", "a\nb", "\x7f", "a\x85", "a\ufffe", "\uffff"])
@pytest.mark.parametrize("name", ["agentid", "ctiid", "crmid"])
def test_control_characters_and_noncharacters_in_an_id_are_refused(name: str, bad: str) -> None:
    assert refused(ANY, **{name: bad})[0] == "invalid_parameter"


def test_an_id_has_at_most_128_characters() -> None:
    assert trigger(ANY, agentid="é" * 128).agentid == "é" * 128
    assert refused(ANY, agentid="é" * 129)[0] == "invalid_parameter"
    assert refused(ANY, ctiid="x" * 129)[0] == "invalid_parameter"
    assert refused(ANY, crmid="x" * 129)[0] == "invalid_parameter"


@pytest.mark.parametrize(
    ("agentid", "level"),
    [
        ("site/12", "site%2F12"),
        ("a+b", "a%2Bb"),
        ("#1", "%231"),
        ("100%", "100%25"),
        ("$SYS", "%24SYS"),
        ("a$b", "a$b"),
        ("DOMAIN\\user", "DOMAIN\\user"),
        ("ann@example.com", "ann@example.com"),
        ("Zoë", "Zoë"),
    ],
)
def test_an_id_is_encoded_in_the_topic_and_raw_elsewhere(agentid: str, level: str) -> None:
    found = trigger(ACME, agentid=agentid)
    assert (found.topic, found.agentid) == (f"CTI/acme/{level}", agentid)


def test_the_time_to_live_is_the_channels_unless_the_caller_says() -> None:
    assert trigger(ACME).ttl == 30
    assert trigger(ACME, Channel.CRM).ttl == 120
    assert trigger(ACME, Channel.CRM, Controls(ttl=5.0)).ttl == 5


@pytest.mark.parametrize(
    ("text", "host"),
    [("https://[::1]:8080/x", "[::1]"), ("a b", "a b"), ("", ""), ("x://", ""), ("u@h", "h"), ("a://b@c@d/e", "d")],
)
def test_the_host_is_taken_out_of_a_url(text: str, host: str) -> None:
    assert host_of(text) == host


def test_a_hostile_crmid_does_not_stall() -> None:
    for text in ("@" * 130_000, ":" * 130_000, "//" * 65_000, "a:" * 65_000, "[" * 130_000, "x" * 130_000 + "://"):
        host_of(text)
