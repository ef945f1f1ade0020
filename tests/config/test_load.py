"""Stories about broker.yaml: what is read, and what is refused with its place."""

import contextlib
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import config
from bridge.config.document import MAX_BYTES, MAX_DEPTH, MAX_NODES
from bridge.words.settings import Address, Settings


def read(text: str) -> Settings:
    return config.parse(text.encode(), "broker.yaml")


def refusals(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(config.ConfigError) as caught:
        config.parse(data, "b")
    return str(caught.value).splitlines()


def refusal(text: str | bytes) -> str:
    (line,) = refusals(text)
    return line


def of_acme(text: str) -> str:
    return "customers:\n  acme:\n" + "".join(f"    {line}\n" for line in text.splitlines())


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "customers:\n# none yet\n", "http: {}\n"])
def test_what_is_left_out_has_its_default(text: str) -> None:
    assert read(text) == Settings()


def test_the_demo_is_what_the_contract_shows() -> None:
    acme = config.parse(config.demo_text().encode(), "demo").customers["acme"]
    assert acme.crm == ["acme.example.com"]
    assert acme.cti == ["env1"]
    assert acme.events == ["On Ring", "On Answer"]
    assert (acme.unknown_event, acme.require_crmid, acme.cloud.enabled) == ("warn", True, True)
    assert acme.cloud.licence.kind == "per_system"
    assert acme.cloud.campaigns["Inbound Support"].external
    assert acme.cloud.campaigns["Inbound Support"].fields == {"Contact Name": "contact_name"}
    assert acme.cloudsync.feeds == ["lsm", "stt", "cim"]
    assert acme.cloudsync.groups["00G000000000001AAA"].short_abandon == 5.0
    assert acme.cloudsync.presence == {"0N5000000000001AAA": "available"}


def test_durations_sizes_and_addresses_are_read_with_their_units() -> None:
    settings = read("http: {bind: '[::1]:0', keepalive: 5m}\nmqtt: {max_packet: 512KiB, write_buffer: 300000}\n")
    assert settings.http.bind == Address("::1", 0)
    assert str(settings.http.bind) == "[::1]:0"
    assert settings.http.keepalive == 300.0
    assert (settings.mqtt.max_packet, settings.mqtt.write_buffer) == (524_288, 300_000)


def test_text_keeps_its_source_spelling() -> None:
    acme = read(of_acme("events: [On, no, 1_000, 1:30, 1e3, 0x1F, 2026-01-31, 'null', on Ring ]")).customers["acme"]
    assert acme.events == ["On", "no", "1_000", "1:30", "1e3", "0x1F", "2026-01-31", "null", "on Ring"]


def test_a_customer_named_like_a_number_or_boolean_stays_text() -> None:
    assert list(read("customers: {on: {}, 007: {}, 1.50: {}}").customers) == ["on", "007", "1.50"]


def test_options_of_plugins_keep_their_types() -> None:
    options = read("mqtt: {plugins: {a.B: {deep: [1, 1.5, true, x, null, {k: '1'}], none: }}}").mqtt.plugins["a.B"]
    assert options == {"deep": [1, 1.5, True, "x", None, {"k": "1"}], "none": None}


def test_a_crm_instance_written_as_url_becomes_its_host() -> None:
    acme = read(of_acme("crm: ['https://Acme.Example.com:8443/x?y=1', other.example.com]")).customers["acme"]
    assert acme.crm == ["Acme.Example.com", "other.example.com"]


def test_bytes_with_a_mark_in_front_are_read() -> None:
    assert config.parse(b"\xef\xbb\xbflog: {level: debug}", "b").log.level == "debug"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("htpp: {}", "b:1:1: unknown key `htpp`; did you mean `http`?"),
        (
            "zzz: {}",
            "b:1:1: unknown key `zzz`; valid here: `http`, `mqtt`, `log`, `delivery`, `ledger`, `cloud`, `cloudsync`",
        ),
        ("http:\n  Bind: x", "b:2:3: unknown key `Bind` in http; did you mean `bind`?"),
        ("log: {level: info}\nlog: {}", "b:2:1: the key `log` stands twice, first in line 1"),
        ("log: {level: warn}", "b:1:14: log.level: `warn` is not valid; did you mean `warning`?"),
        ("log: [level]", "b:1:6: log: wants keys with values, not a list"),
        ("log: info", "b:1:6: log: wants keys with values, not `info`"),
        ("- 1", "b:1:1: the file: wants keys with values, not a list"),
        ("log: {level: [a]}", "b:1:14: log.level: wants a single value, not a list"),
        ("log: {? [a] : 1}", "b:1:9: a key must be text in log, not a list"),
        ("log: {~: 1}", "b:1:7: a key must be text in log, not `~`"),
        ("<<: {log: {}}", "b:1:1: unknown key `<<`"),
    ],
)
def test_the_shape_is_checked_with_its_place(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mqtt: {inflight: 1_000}", "b:1:18: mqtt.inflight: `1_000` is not a whole number; write `1000`"),
        ("mqtt: {queue: 010}", "b:1:15: mqtt.queue: `010` is not a whole number; write `10`"),
        ("mqtt: {queue: '10'}", "b:1:15: mqtt.queue: the text `10` is not a whole number; write `10`, without quotes"),
        ("mqtt: {queue: 0x10}", "b:1:15: mqtt.queue: `0x10` is not a whole number"),
        ("mqtt: {queue: 1.0}", "b:1:15: mqtt.queue: `1.0` is not a whole number"),
        ("mqtt: {queue: 1:30}", "b:1:15: mqtt.queue: `1:30` is not a whole number"),
        ("mqtt: {queue: }", "b:1:14: mqtt.queue: nothing is not a whole number"),
        ("http: {keepalive: 1:30}", "b:1:19: http.keepalive: `1:30` is not a duration; write it with its unit"),
        (
            "http: {keepalive: 75}",
            "b:1:19: http.keepalive: `75` is not a duration; write it with its unit, such as `75s`",
        ),
        ("mqtt: {max_packet: 1MB}", "b:1:20: mqtt.max_packet: `1MB` is not a size"),
        ("http: {bind: 8080}", "b:1:14: http.bind: `8080` is not HOST:PORT"),
        ("http: {bind: '::1:8080'}", "b:1:14: http.bind: the text `::1:8080` is not HOST:PORT"),
        ("http: {bind: localhost:65536}", "b:1:14: http.bind: `65536` is not a port; ports are 0"),
        ("http: {bind: localhost:-1}", "b:1:14: http.bind: `-1` is not a port"),
        (of_acme("require_crmid: no"), "b:3:20: customers.acme.require_crmid: `no` is not a boolean; write `false`"),
        (of_acme("require_crmid: 'true'"), "b:3:20: customers.acme.require_crmid: the text `true` is not a boolean"),
        (
            of_acme("events: On Ring"),
            "b:3:13: customers.acme.events: wants a list, such as `[one, two]`, not `On Ring`",
        ),
        (of_acme("events: [a, ~]"), "b:3:17: customers.acme.events.1: `~` is nothing in YAML; put it in quotes"),
        (of_acme("events:\n- a\n-"), "b:5:6: customers.acme.events.1: text is missing here"),
        ("mqtt: {plugins: {a.B: {x: yes}}}", "b:1:27: mqtt.plugins.a.B.x: `yes` may be a boolean or text"),
    ],
)
def test_what_yaml_would_silently_change_is_refused(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http: {head_timeout: 0s}", "b:1:22: http.head_timeout: `0s` is not within 0.01 s to 3600 s"),
        ("mqtt: {inflight: 0}", "b:1:18: mqtt.inflight: `0` is not within 1 to 65535"),
        ("mqtt: {max_packet: 10}", "b:1:20: mqtt.max_packet: `10` is not within 1024 bytes to 268435456 bytes"),
        ("mqtt: {queue: -1}", "b:1:15: mqtt.queue: `-1` is not within"),
        (of_acme("ttl: {cti: 2h}"), "b:3:16: customers.acme.ttl.cti: `2h` is not within 1 s to 3600 s"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


def test_no_duplicate_guard_is_a_choice() -> None:
    assert read(of_acme("duplicate_window: 0s")).customers["acme"].duplicate_window == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("customers: {a/b: {}}", "b:1:13: `a/b` is not a CustomerID"),
        (f"customers: {{{'a' * 65}: {{}}}}", "b:1:13: `aaaa"),
        (of_acme("crm: [a b]"), "b:3:11: `a b` is neither a host name nor a URL"),
        (of_acme("crm: ['https:///x']"), "b:3:11: `https:///x` is neither"),
        (of_acme("crm: [a.example, A.EXAMPLE]"), "b:3:22: `A.EXAMPLE` stands twice in crm, as `a.example`"),
        (of_acme("crm: [a.example, 'http://A.example/']"), "b:3:22: `http://A.example/` stands twice in crm"),
        (of_acme("cti: [env1, ENV1]"), "b:3:17: `ENV1` stands twice in cti, as `env1`"),
        (of_acme('cti: ["a\\u0001b"]'), "b:3:11: an id has 1 to 128 characters"),
        (of_acme(f"cti: [{'x' * 129}]"), "b:3:11: an id has 1 to 128 characters"),
        (of_acme("events: [On Ring, On Ring]"), "b:3:23: `On Ring` stands twice in events"),
        (of_acme("events: [' ']"), "b:3:14: an event must not be blank"),
        (of_acme("origins: ['*']"), "b:3:15: `*` is not an origin"),
        (of_acme("origins: [https://a.example/x]"), "b:3:15: `https://a.example/x` is not an origin as browsers"),
        (of_acme("cloud: {licence: {kind: named, seats: 1, users: [a, b]}}"), "b:3:53: 2 users are named, but there"),
        (of_acme("cloud: {licence: {kind: concurrent}}"), "b:3:22: a concurrent licence needs `seats` of at least 1"),
        (of_acme("cloud: {licence: {kind: named, seats: 0}}"), "b:3:43: a named licence needs `seats`"),
        (
            of_acme("cloudsync: {zone: America/NewYork}"),
            "b:3:23: `America/NewYork` is not a time zone; did you mean `Am",
        ),
        (of_acme("cloudsync: {groups: {Billing: {name: B}}}"), "b:3:26: `Billing` is not a record id: 15 or 18"),
        (of_acme("cloudsync: {groups: {00G000000000001: {}}}"), "b:3:43: the key `name` is missing in customers.acme"),
        (of_acme("cloudsync: {presence: {x: busy}}"), "b:3:28: `x` is not a record id"),
        (
            of_acme("cloudsync: {statuses: {Ticket: {New: open}}}"),
            "b:3:28: `Ticket` is not an entity; did you mean `Sup",
        ),
        (of_acme("cloudsync: {feeds: [lsn]}"), "b:3:25: customers.acme.cloudsync.feeds.0: `lsn` is not valid; did you"),
    ],
)
def test_what_contradicts_the_contract_is_refused(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize("name", ["https://App.Example.com", "https://app.example.com:443", "https://app.example.com/"])
def test_an_origin_that_no_browser_sends_is_corrected(name: str) -> None:
    assert refusal(of_acme(f"origins: ['{name}']")).endswith("did you mean `https://app.example.com`?")


def test_the_short_and_the_long_spelling_of_a_group_are_one_group() -> None:
    text = of_acme("cloudsync: {groups: {00G000000000001: {name: A}, 00G000000000001AAA: {name: B}}}")
    assert "names the same record as `00G000000000001`" in refusal(text)


def test_a_mistyped_licence_has_no_second_error() -> None:
    assert len(refusals(of_acme("cloud: {licence: {kind: named, seats: x, users: [a]}}"))) == 1


def test_all_problems_are_named_in_the_order_of_the_file() -> None:
    text = "http: {bind: x, head_timeout: 1}\nmqtt: {quue: 1}\ncustomers: {a b: {cti: [x, X]}}\nlogg: {}\n"
    places = [line.split(": ")[0] for line in refusals(text)]
    assert places == ["b:1:14", "b:1:31", "b:2:8", "b:3:13", "b:3:28", "b:4:1"]


def test_at_most_twenty_problems_are_named_and_the_rest_counted() -> None:
    lines = refusals("".join(f"wrong{number}: 1\n" for number in range(30)))
    assert len(lines) == 21
    assert lines[-1] == "b: and 10 more"


def test_the_problems_can_be_read_one_by_one() -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.parse(b"\n  log: 1", "b")
    (problem,) = caught.value.problems
    assert (caught.value.file, problem.line, problem.column) == ("b", 2, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("log: {", "b:1:7: while parsing a flow node; expected"),
        ("a: b: c", "b:1:5: mapping values are not allowed here"),
        ("log:\n\tlevel: info", "b:2:1: while scanning for the next token"),
        ("--- {}\n--- {}", "b:2:1: expected a single document"),
        ("log: &a {level: info}", "b:1:6: anchors and aliases"),
        ("log: *a", "b:1:6: anchors and aliases"),
        ("log: !!python/object/apply:os.system [ls]", "b:1:6: tags are not supported"),
        ("log: ! x", "b:1:6: tags are not supported"),
        ("log: {level: in\x01fo}", "b:1:16: a character that YAML does not allow"),
        (b"log: {}\nab\xff", "b:2:3: this is not UTF-8"),
        ("[" * (MAX_DEPTH + 1), f"b:1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH}"),
        ("[" * 100_000, f"b:1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH}"),
        ("#" * (MAX_BYTES + 1), f"b: larger than {MAX_BYTES} bytes"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_place(text: str | bytes, said: str) -> None:
    assert refusal(text).startswith(said)


def test_the_number_of_values_is_bounded() -> None:
    assert f"more than {MAX_NODES} values" in refusal("x: [" + "1," * (MAX_NODES + 1) + "]")


def test_an_error_is_one_short_line_whatever_the_file_says() -> None:
    line = refusal('log: {level: "' + "\\e[31m" * 1_000 + '"}')
    assert line.isprintable()
    assert len(line) < 200


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(config.ConfigError):
        read(text)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(config.ConfigError):
        config.parse(data, "b")


@given(
    st.recursive(
        st.sampled_from(["~", "on", "1", "1s", "1:1", "''", "x", "a.b:1", "-1", "named", "00G000000000001"]),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
            st.lists(
                st.tuples(st.sampled_from(["crm", "cloud", "licence", "kind", "groups", "zone", "x", "name"]), inner),
                max_size=4,
            ).map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"),
        ),
        max_leaves=12,
    )
)
def test_any_value_in_any_place_is_read_or_refused(value: str) -> None:
    with contextlib.suppress(config.ConfigError):
        read(f"customers: {{acme: {value}}}\nhttp: {value}\nmqtt: {{plugins: {value}}}\n")


def test_a_file_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.load(tmp_path)


def test_load_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broker.yaml"
    path.write_text("log: {level: nfo}\n")
    with pytest.raises(config.ConfigError) as caught:
        config.load(path)
    assert str(caught.value) == f"{path}:1:14: log.level: `nfo` is not valid; did you mean `info`?"
    path.write_text("log: {level: error}\n")
    assert config.load(path).log.level == "error"


def test_infinite_durations_are_refused() -> None:
    assert not math.isinf(Settings().http.keepalive)
    assert "is not a duration" in refusal("http: {keepalive: .inf}")
    assert len(refusals("http: {keepalive: " + "9" * 400 + "d}")) == 1


@pytest.mark.parametrize("path", ["api/cloud", "/API/cloud", "/api?x", "/", "/api/cloud/"])
def test_a_path_of_the_cloud_api_must_be_one_that_can_match(path: str) -> None:
    assert "is not a path" in refusal(f"cloud: {{pop_path: '{path}'}}")


def test_the_two_paths_of_the_cloud_api_must_differ() -> None:
    assert "the token's path" in refusal("cloud: {pop_path: /api/cloud/token/refresh}")
