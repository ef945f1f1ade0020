"""Keypair: cloudsync.key, which signs the assertions, and cloudsync.crt, which the connected app is given."""

import datetime as dt
import os
import stat
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

KEY = "cloudsync.key"
CERTIFICATE = "cloudsync.crt"
LEAST_BITS = 2048

_BITS = 3072
_DAYS = 730
_WARN = dt.timedelta(days=30)


class KeypairError(Exception):
    """A file that cannot be used, or would be lost; the text says which and why, and what to do."""


class Certificate(msgspec.Struct, frozen=True):
    """What can be told of the certificate."""

    fingerprint: str  # SHA-256, as the CRM's screen shows it
    expires: dt.datetime
    warning: str = ""


def make(folder: Path, customer: str, now: dt.datetime, *, replace: bool = False) -> Certificate:
    """Write a new key (0600) and its self-signed certificate. KeypairError where there is one that would be lost."""
    key_path, certificate_path = folder / KEY, folder / CERTIFICATE
    if key_path.exists() and not replace:
        raise KeypairError(f"{key_path} exists: the connected app may know it. --replace makes another")
    key = rsa.generate_private_key(public_exponent=65_537, key_size=_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"popbridge CloudSync {customer}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = folder / f"{KEY}.new"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(encoded)
        file.flush()
        os.fsync(file.fileno())
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    draft.replace(key_path)
    return _told(certificate, now)


def private_key(folder: Path) -> rsa.RSAPrivateKey:
    """Read the key. KeypairError where it is missing, is open to others, is no RSA key, or is too short."""
    path = folder / KEY
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise KeypairError(f"{path} does not exist: `popbridge cloudsync keypair` makes it") from None
    except OSError as error:
        raise KeypairError(f"{path} cannot be read: {error.strerror}") from None
    if os.name == "posix" and mode & 0o077:
        raise KeypairError(f"{path} is open to others ({stat.S_IMODE(mode):04o}): chmod 600 it")
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError):
        raise KeypairError(f"{path} is not a PEM private key without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeypairError(f"{path} is not an RSA key, which RS256 needs: `popbridge cloudsync keypair --replace`")
    if key.key_size < LEAST_BITS:
        raise KeypairError(f"{path} has {key.key_size} bits; at least {LEAST_BITS} are needed: keypair --replace")
    return key


def certificate(folder: Path, now: dt.datetime) -> Certificate:
    """Read the certificate and see that it fits the key and is valid. KeypairError where not."""
    path = folder / CERTIFICATE
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise KeypairError(f"{path} does not exist: `popbridge cloudsync keypair --replace` makes both") from None
    except (OSError, ValueError):
        raise KeypairError(f"{path} is not a PEM certificate: `popbridge cloudsync keypair --replace`") from None
    public = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if found.public_key().public_bytes(*public) != private_key(folder).public_key().public_bytes(*public):
        raise KeypairError(f"{path} belongs to another key than {folder / KEY}: put the right one there")
    if now < found.not_valid_before_utc:
        raise KeypairError(f"{path} is valid only from {found.not_valid_before_utc:%Y-%m-%d}: set the clock")
    if now >= found.not_valid_after_utc:
        raise KeypairError(
            f"{path} expired on {found.not_valid_after_utc:%Y-%m-%d}: `popbridge cloudsync keypair --replace`, and "
            "upload the new one to the connected app"
        )
    return _told(found, now)


def _told(certificate: x509.Certificate, now: dt.datetime) -> Certificate:
    expires = certificate.not_valid_after_utc
    soon = f"it expires in {(expires - now).days} days: make a new pair soon" if expires - now < _WARN else ""
    return Certificate(certificate.fingerprint(hashes.SHA256()).hex(":").upper(), expires, soon)
