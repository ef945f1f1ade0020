"""Live's rules: gaps, streams, lists and files, asked in a page; what they look like is told in test_live."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.conftest import Bridge

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = "2026-11-20T12:00:00Z"
ROW = {"interval_start": "2026-11-20T10:00:00Z", "status": "final", "complete": True, "coverage_s": 900, "created": 0}
RUNNING = {"interval_start": "2026-11-20T11:55:00Z", "status": "open", "complete": False}


@pytest.mark.parametrize(
    ("row", "data", "drawn", "said"),
    [
        (ROW, "complete", 0, 0),
        (ROW | {"created": None}, "complete", None, "–"),  # noqa: RUF001 - as it is spelled
        (ROW | {"complete": False, "coverage_s": 0}, "none", None, "no data"),
        (ROW | {"complete": False, "coverage_s": 0, "created": 3}, "none", 3, 3),
        (ROW | {"complete": False, "coverage_s": 899}, "part", None, 0),
        (ROW | {"complete": False, "coverage_s": 600, "created": 3}, "part", 3, 3),
        (ROW | {"complete": False}, "doubt", None, 0),
        (ROW | RUNNING | {"coverage_s": 299}, "running", 0, 0),
        (ROW | RUNNING | {"coverage_s": 200}, "part", None, 0),
        (ROW | RUNNING | {"coverage_s": 0}, "none", None, "no data"),
        (ROW | RUNNING | {"interval_start": NOW, "coverage_s": 0}, "ahead", None, ""),
    ],
)
async def test_a_zero_is_drawn_where_somebody_told_so(
    rules: Page, row: dict[str, Any], data: str, drawn: object, said: object
) -> None:
    told = await rules.evaluate(
        """async ([row, now]) => {
            const {dataOf, drawn, said} = await import("/pages/live/quarters.js");
            const data = dataOf(row, Date.parse(now));
            return [data, drawn(row, "created", data), said(row, "created", data)];
        }""",
        [row, NOW],
    )
    assert told == [data, drawn, said]


async def test_an_hour_that_comes_twice_is_compared_with_the_like_of_each(rules: Page) -> None:
    def day(*times: str) -> list[dict[str, str]]:
        return [{"local_start": f"2026-11-01T{one}:00-04:00"} for one in times]

    found = await rules.evaluate(
        """async ([rows, before]) => {
            const {aligned} = await import("/pages/live/quarters.js");
            return aligned(rows, before.map((row, place) => ({...row, place}))).map((row) => row?.place ?? null);
        }""",
        [day("00:45", "01:00", "01:00", "03:00"), day("00:45", "01:00", "02:00", "03:00")],
    )
    assert found == [0, 1, None, 3]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rules(chromium: Browser, house: Bridge) -> AsyncIterator[Page]:
    """A page in which the modules can be asked."""
    page = await chromium.new_page()
    await page.goto(f"{house.http}/live")
    yield page
    await page.close()


async def test_a_stream_is_read_however_it_is_cut(rules: Page) -> None:
    text = 'retry: 2000\n\nid: 7\nevent: change\ndata: {"seq":7}\n\n: heartbeat\nevent: feed\ndata: {"é":"\\n"}\n\n'
    found = await rules.evaluate(
        """async (text) => {
            const {Parser} = await import("/pages/live/stream.js");
            const all = [];
            for (let size = 1; size <= text.length; size += 1) {
                const parser = new Parser();
                const told = [];
                for (let at = 0; at < text.length; at += size) {
                    told.push(...parser.feed(text.slice(at, at + size)));
                }
                all.push(JSON.stringify(told.map((one) => [one.name, one.id ?? null, one.data, one.retry ?? null])));
            }
            return [...new Set(all)];
        }""",
        text,
    )
    assert [json.loads(one) for one in found] == [
        [
            ["message", None, "", 2000],
            ["change", "7", '{"seq":7}', None],
            ["feed", None, '{"é":"\\n"}', None],
        ]
    ]


async def test_a_list_stays_in_order_whatever_changes_in_it(rules: Page) -> None:
    same = await rules.evaluate(
        """async () => {
            const {Ordered} = await import("/pages/live/ordered.js");
            const columns = [
                {key: "name", of: (item) => item.name},
                {key: "size", of: (item) => item.size},
            ];
            let seed = 1;
            const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
            const list = new Ordered(columns);
            const known = new Map();
            const rank = (size, downwards) => (size === null ? Infinity : downwards ? -size : size);
            for (let turn = 0; turn < 3000; turn += 1) {
                const id = random(60);
                if (random(4) === 0) {
                    list.remove(id);
                    known.delete(id);
                } else {
                    const item = {id, name: `n${String(id).padStart(2, "0")}`, size: [null, 1, 4, 9][random(4)]};
                    list.put(id, item);
                    known.set(id, item);
                }
                const downwards = turn % 200 >= 100;
                if (turn % 100 === 0) {
                    list.sort("size", downwards);
                }
                if (turn % 7 === 0) {
                    const wanted = [...known.values()].sort(
                        (one, other) => rank(one.size, downwards) - rank(other.size, downwards) || one.id - other.id
                    );
                    const {fitting, rows} = list.some(3, 10);
                    const fits = wanted.filter((item) => item.size === 4 && item.name.includes("1"));
                    const some = list.some(0, 100, {text: "1", field: "size", value: 4});
                    const same = (these, those) => JSON.stringify(these) === JSON.stringify(those);
                    if (fitting !== wanted.length || !same(rows, wanted.slice(3, 13)) || !same(some.rows, fits)) {
                        return [turn, rows, wanted.slice(3, 13)];
                    }
                }
            }
            return true;
        }"""
    )
    assert same is True


async def test_a_file_is_read_back_as_it_was_and_runs_nothing(rules: Page) -> None:
    texts = ['a "quoted" one', "one, two", "two\nlines", "é", "", "=1+1", "@x", "-x"]
    text = await rules.evaluate(
        """async (texts) => {
            const {csv} = await import("/pages/live/csv.js");
            return csv(["text", "number", "none"], texts.map((one) => [one, -1.5, null]));
        }""",
        texts,
    )
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert lines[0] == ["text", "number", "none"]
    assert [line[0] for line in lines[1:]] == [*texts[:5], "'=1+1", "'@x", "'-x"]
    assert {tuple(line[1:]) for line in lines[1:]} == {("-1.5", "")}
