"""TLS, from the command that makes a pair to certificates that are replaced while the bridge runs."""

import asyncio
import shutil
import signal
import ssl
from pathlib import Path

import aiohttp

from tests.conftest import WITHIN, Bridge


def secured(data: Path) -> Bridge:
    pair = f"tls: {{certificate: {data / 'dev.crt'}, key: {data / 'dev.key'}}}"
    config = f"""\
http:
  bind: 127.0.0.1:0
  {pair}
mqtt:
  bind: 127.0.0.1:0
  {pair}
customers: {{acme: {{}}}}
"""
    bridge = Bridge(data, config)
    assert bridge.cli("certs", "dev").returncode == 0
    return bridge


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def serial(port: int) -> bytes:
    """Give the certificate that the port shows, whoever signed it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    assert isinstance(shown, bytes)
    return shown


async def test_http_and_mqtt_speak_tls_with_the_development_pair(tmp_path: Path) -> None:
    bridge = secured(tmp_path / "data").start()
    try:
        trust = trusting(bridge.data / "dev.crt")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://127.0.0.1:{bridge.http_port}/healthz", ssl=trust) as answer,
        ):
            assert answer.status == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.mqtt_port, ssl=trust)
        writer.write(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        assert await reader.readexactly(4) == b"\x20\x02\x00\x04"
        writer.close()
    finally:
        assert bridge.stop() == 0
    assert (bridge.data / "dev.key").stat().st_mode & 0o777 == 0o600


async def test_a_replaced_certificate_counts_from_sighup_on_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    bridge = secured(tmp_path / "data").start()
    try:
        before = await serial(bridge.http_port)
        assert bridge.cli("certs", "dev").returncode == 0
        bridge.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(WITHIN):
            while await serial(bridge.http_port) == before:
                pass
        after = await serial(bridge.http_port)
        assert await serial(bridge.mqtt_port) == after
        shutil.copy(bridge.data / "broker.yaml", bridge.data / "dev.crt")
        bridge.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(WITHIN):
            while "the certificate stays as it was" not in bridge.log():
                await asyncio.to_thread(bridge.log)
        assert await serial(bridge.http_port) == after
    finally:
        assert bridge.stop() == 0


def test_a_certificate_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    bridge = secured(tmp_path / "data")
    (bridge.data / "dev.key").write_text("no key")
    done = bridge.cli("serve")
    assert done.returncode == 3
    assert "dev.key" in done.stderr
    assert "Traceback" not in done.stderr
