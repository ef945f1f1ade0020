# ruff: noqa: ASYNC240 - the event loop has nothing else to do

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bridge.credentials import signing
from bridge.credentials.authority import ALL_ROLES, Credentials
from bridge.credentials.refusals import Reason, Refused, UnusableError
from bridge.words.principal import Role
from tests.credentials.conftest import Clock, Command

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix_only
async def test_the_files_are_the_owners_alone(data: Path) -> None:
    before = os.umask(0o002)
    try:
        async with Credentials.open(data) as credentials:
            await credentials.issue(Role.KEY, "acme", expires_in=60)
            assert mode(data) == 0o700
            modes = {file.name: oct(mode(file)) for file in data.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) >= {"signing.key", "credentials.db", "credentials.db-wal"}
    assert set(modes.values()) == {"0o600"}, modes


@posix_only
async def test_a_directory_and_a_key_that_others_can_read_are_closed_to_them(data: Path) -> None:
    data.mkdir(mode=0o755)
    async with Credentials.open(data):
        pass
    (data / "signing.key").chmod(0o644)
    data.chmod(0o755)
    async with Credentials.open(data):
        assert (mode(data), mode(data / "signing.key")) == (0o700, 0o600)


@posix_only
async def test_a_directory_that_belongs_to_everybody_is_left_as_it_is(data: Path) -> None:
    data.mkdir()
    data.chmod(0o1777)
    async with Credentials.open(data):
        assert mode(data) == 0o1777


async def test_processes_that_start_first_together_get_the_same_key_and_database(
    data: Path, popbridge: Command
) -> None:
    printed = await asyncio.gather(*(popbridge("keys", "issue", "--customer", "acme") for _ in range(4)))
    async with Credentials.open(data) as credentials:
        listed = await credentials.list_credentials()
        assert len(listed) == 4
        assert {one.kid for one in listed} == {signing.obtain(data / "signing.key").kid}
        now = listed[0].issued
        assert {credentials.verify(token.strip(), ALL_ROLES, now).id for token, _ in printed} == {
            one.id for one in listed
        }
    assert sorted(file.name for file in data.iterdir()) == ["credentials.db", "signing.key"]


async def test_rotation_ends_no_live_token_and_leaves_no_old_private_key(
    credentials: Credentials, data: Path, clock: Clock
) -> None:
    old = await credentials.issue(Role.KEY, "acme", expires_in=3600)
    old_key = (data / "signing.key").read_bytes()
    kid = await credentials.rotate_signing()
    new = await credentials.issue(Role.KEY, "acme", expires_in=7200)
    for issued in (old, new):
        assert credentials.verify(issued.token, ALL_ROLES, clock.now).id == issued.id
    assert [one.kid == kid for one in await credentials.list_credentials()] == [True, False]
    assert old_key not in b"".join(file.read_bytes() for file in data.iterdir())
    async with Credentials.open(data, clock=clock) as restarted:
        assert restarted.verify(old.token, ALL_ROLES, clock.now).id == old.id


async def test_an_old_public_key_goes_when_the_last_token_signed_by_it_has_expired(
    credentials: Credentials, data: Path, clock: Clock
) -> None:
    old = await credentials.issue(Role.KEY, "acme", expires_in=3600)
    await credentials.rotate_signing()
    new = await credentials.issue(Role.KEY, "acme", expires_in=7200)
    await credentials.purge()
    assert credentials.verify(old.token, ALL_ROLES, clock.now).id == old.id
    clock.now = old.expires
    await credentials.purge()
    clock.now -= 1  # so that it is not the expiry that is answered
    async with Credentials.open(data, clock=clock) as restarted:
        with pytest.raises(Refused) as refusal:
            restarted.verify(old.token, ALL_ROLES, clock.now)
        assert refusal.value.reason is Reason.UNKNOWN_KID
    assert credentials.verify(new.token, ALL_ROLES, clock.now).id == new.id


async def test_a_signing_key_put_back_from_a_backup_signs_again(
    credentials: Credentials, data: Path, clock: Clock
) -> None:
    backup = (data / "signing.key").read_bytes()
    await credentials.issue(Role.KEY, "acme", expires_in=60)
    await credentials.rotate_signing()
    (data / "signing.key").write_bytes(backup)
    issued = await credentials.issue(Role.KEY, "acme", expires_in=3600)
    await credentials.purge()
    assert credentials.verify(issued.token, ALL_ROLES, clock.now).id == issued.id


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["empty", "broken", "another curve", "RSA"],
)
async def test_a_file_that_is_no_signing_key_stops_the_start_with_its_name(data: Path, content: bytes) -> None:
    data.mkdir()
    (data / "signing.key").write_bytes(content)
    with pytest.raises(UnusableError, match=r"signing\.key is not .* remove it and issue again"):
        async with Credentials.open(data):
            pass


def test_the_kid_is_the_rfc_7638_thumbprint_cut_to_96_bits() -> None:
    # A fixed point on P-256 (the generator).
    x = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    y = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    assert signing.thumbprint(public) == "xx0BcA-wMohw8atY"
