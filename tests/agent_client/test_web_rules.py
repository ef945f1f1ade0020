"""What the desktop in JavaScript has beside the stories it shares: topics, and the spelling of data."""

import base64
import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_client.desktop import LONGEST_WAIT, wait_before
from agent_client.screen import NotAPopError
from bridge.words import pop as documents
from bridge.words import topics
from tests.agent_client.pops import pop
from tests.agent_client.web.stage import Stage
from tests.conftest import WITHIN, needed

WEB = Path(__file__).parents[2] / "agent_client" / "web"

ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("/+#%$"), min_size=1, max_size=20)


@given(ids, st.none() | ids)
def test_topics_are_spelled_as_the_bridge_spells_them(stage: Stage, agent: str, cti: str | None) -> None:
    said = stage.ask("topics", customer="acme", agent=agent, cti=cti)
    assert said == [*topics.for_desktop("acme", agent, cti), topics.ack("acme", agent), topics.desk("acme", agent)]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["1", "__proto__", "data"]), values, max_size=5))
def test_data_keeps_its_order_and_the_spelling_of_each_value(stage: Stage, data: dict[str, object]) -> None:
    document = documents.encode(pop(x=1))
    spelled = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
    document = document.replace(b'{"x":1}', spelled)
    said = stage.ask("members", document=document.decode("utf-8", "replace"), name="data")
    assert [[name, text] for name, text, _ in said] == [
        [name, json.dumps(value, ensure_ascii=False)] for name, value in data.items()
    ]


@pytest.mark.parametrize(
    ("spelled", "plain"),
    [
        ("12345678901234567890", "12345678901234567890"),
        ("1.50", "1.50"),
        ('"Zo\\u00eb \\"x\\""', 'Zoë "x"'),
        ('["a", "b"]', "a, b"),
        ('{"a": [1, {"b": "}"}]}', '{"a": [1, {"b": "}"}]}'),
        ("null", "null"),
    ],
)
def test_a_value_is_said_for_people_without_losing_a_digit(stage: Stage, spelled: str, plain: str) -> None:
    document = f'{{"popid": "p", "data": {{"x": {spelled}, "y": 1}}, "fields": null}}'
    assert stage.ask("members", document=document, name="data") == [["x", spelled, plain], ["y", "1", "1"]]
    assert stage.ask("members", document=document, name="fields") == []
    assert stage.ask("members", document=document, name="variables") == []


def test_it_waits_as_long_as_the_desktop_in_python(stage: Stage) -> None:
    for attempt in (1, 2, 3, 7, 8, 1_000_000):
        for chance in (0.0, 0.25, 1.0):
            assert stage.ask("wait", attempt=attempt, chance=chance) == 1000 * wait_before(attempt, chance)
    assert stage.ask("wait", attempt=100, chance=1.0) == 1000 * LONGEST_WAIT


@pytest.mark.parametrize("expires", ["2026-11-20T12:00:00.000", "2026-11-20", "tomorrow", "2026-13-45T99:00:00Z", ""])
def test_a_time_without_a_zone_is_none(stage: Stage, expires: str) -> None:
    screen = stage.new("screen", backlog=10, refuses=False)
    payload = msgspec.json.encode(msgspec.json.decode(documents.encode(pop())) | {"expires": expires})
    with pytest.raises(NotAPopError, match="expires"):
        stage.ask("arrive", id=screen, payload=base64.b64encode(payload).decode(), copy=0, now=0)


@pytest.mark.parametrize("file", sorted(WEB.glob("*.js")), ids=lambda file: file.name)
def test_each_file_says_first_what_it_is(file: Path) -> None:
    first, second = file.read_text(encoding="utf-8").splitlines()[:2]
    assert first == "/**"
    assert second.startswith(f" * {file.stem.capitalize()}: ")


def test_a_machine_that_slept_is_noticed_by_its_clock() -> None:
    script = f"""
        import {{ onWaking }} from {json.dumps((WEB / "clock.js").as_uri())};
        const times = [0, 2000, 4000, 12000, 13000, 600000, 602000];
        const woke = [];
        const stop = onWaking(() => woke.push(now), () => {{
            now = times.shift();
            if (times.length === 0) {{
                stop();
                console.log(JSON.stringify(woke));
            }}
            return now;
        }}, 1);
        var now;
    """
    done = subprocess.run(
        [needed("node"), "--input-type=module", "-e", script],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=True,
    )
    assert json.loads(done.stdout) == [600000]
