import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bridge.crm import keypair
from bridge.crm.keypair import KeypairError

SHORT = 1024
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def test_a_pair_is_made_once(tmp_path: Path) -> None:
    made = keypair.make(tmp_path, "acme", NOW)
    key = tmp_path / "cloudsync.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert keypair.private_key(tmp_path).key_size >= 2048
    assert keypair.certificate(tmp_path, NOW) == made
    before = key.read_bytes()
    with pytest.raises(KeypairError, match="exists"):
        keypair.make(tmp_path, "acme", NOW)
    assert key.read_bytes() == before
    assert keypair.make(tmp_path, "acme", NOW, replace=True).fingerprint != made.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cloudsync.crt", "cloudsync.key"]


def test_a_key_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "cloudsync.key"
    with pytest.raises(KeypairError, match="does not exist"):
        keypair.private_key(tmp_path)
    for content, wrong in (
        (b"nonsense", "not a PEM"),
        (ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM), "not an RSA key"),
        (rsa.generate_private_key(public_exponent=65537, key_size=SHORT).private_bytes(*PEM), "1024 bits"),
    ):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(KeypairError, match=wrong):
            keypair.private_key(tmp_path)
    path.chmod(0o644)
    with pytest.raises(KeypairError, match=r"0644.*chmod 600"):
        keypair.private_key(tmp_path)


def test_a_certificate_must_fit_and_be_valid(tmp_path: Path) -> None:
    keypair.make(tmp_path, "acme", NOW)
    soon = keypair.certificate(tmp_path, NOW + dt.timedelta(days=715))
    assert "expires in 15 days" in soon.warning
    with pytest.raises(KeypairError, match="expired"):
        keypair.certificate(tmp_path, NOW + dt.timedelta(days=731))
    with pytest.raises(KeypairError, match="valid only from"):
        keypair.certificate(tmp_path, NOW - dt.timedelta(days=1))
    other = tmp_path / "other"
    keypair.make(other, "acme", NOW)
    (tmp_path / "cloudsync.crt").write_bytes((other / "cloudsync.crt").read_bytes())
    with pytest.raises(KeypairError, match="another key"):
        keypair.certificate(tmp_path, NOW)
    (tmp_path / "cloudsync.crt").write_text("nonsense")
    with pytest.raises(KeypairError, match="not a PEM certificate"):
        keypair.certificate(tmp_path, NOW)
