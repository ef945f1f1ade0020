"""The pages' files: what they are served with, what is vendored, and what our own code never does."""

import hashlib
import re
from pathlib import Path

import aiohttp
import pytest

from bridge.http.doors.pages import PAGES, SHELVES
from tests.conftest import Bridge

VENDOR = SHELVES["/vendor/"]
OURS = sorted(
    path for path in (*SHELVES["/pages/"].rglob("*.js"), *SHELVES["/client/"].rglob("*.js")) if path.parent != VENDOR
)
HTML_FROM_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser"
)


def vendored() -> list[tuple[str, str]]:
    lines = (VENDOR / "CHECKSUMS").read_text(encoding="utf-8").splitlines()
    return [(line.split()[1], line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("name", "sum_"), vendored())
def test_a_vendored_file_is_what_its_authors_published(name: str, sum_: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == sum_


def test_each_vendored_file_has_its_checksum_and_each_library_its_licence() -> None:
    listed = {name for name, _ in vendored()}
    assert {path.name for path in VENDOR.iterdir()} - {"CHECKSUMS"} == listed
    assert {name for name in listed if name.endswith(".LICENSE")} >= {"mqtt.LICENSE", "uPlot.LICENSE"}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_page_makes_html_or_code_out_of_text(path: Path) -> None:
    assert HTML_FROM_TEXT.search(path.read_text(encoding="utf-8")) is None


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_served_with_a_strict_policy(bridge: Bridge, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(bridge.http + path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        text = await answer.text()
    assert re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", text) is None


async def test_a_file_is_asked_for_again_only_when_it_changed(bridge: Bridge) -> None:
    async with aiohttp.ClientSession(bridge.http) as http:
        async with http.get("/pages/style.css") as first:
            tag = first.headers["ETag"]
        async with http.get("/pages/style.css", headers={"If-None-Match": tag}) as again:
            assert (again.status, await again.read()) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/pages/nothing.js",
        "/pages/..%2fservice.py",
        "/vendor/CHECKSUMS",
        "/client/desktop.py",
        "/pages/vendor/uPlot.esm.js",
    ],
)
async def test_nothing_but_the_pages_files_is_served(bridge: Bridge, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{bridge.http}{path}") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "not_found")


async def test_a_bridge_that_is_not_the_demo_shows_no_credential(bridge: Bridge) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{bridge.http}/about.json") as answer:
        assert set(await answer.json()) == {"version", "mqtt", "demo"}


@pytest.mark.parametrize("path", [*PAGES, "/pages/page.js", "/about.json"])
@pytest.mark.parametrize(
    "fields",
    [
        {"Host": "popbridge.example.com"},
        {"Host": "127.0.0.1.example.com:8080"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
    ],
    ids=str,
)
async def test_the_demos_pages_answer_on_loopback_names_and_to_no_proxy(
    demo: Bridge, path: str, fields: dict[str, str]
) -> None:
    async with aiohttp.ClientSession() as http, http.get(demo.http + path, headers=fields) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.2:1", "[::1]:8080"])
async def test_the_demos_pages_answer_under_any_loopback_name(demo: Bridge, host: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(demo.http, headers={"Host": host}) as answer:
        assert answer.status == 200


async def test_another_sites_page_does_not_get_the_demos_credentials(demo: Bridge) -> None:
    fields = {"Sec-Fetch-Site": "cross-site"}
    async with aiohttp.ClientSession() as http, http.get(f"{demo.http}/about.json", headers=fields) as answer:
        assert answer.status == 403
