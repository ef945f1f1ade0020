"""Signing: the key pair behind every token. The private key exists once, in a file; public keys outlive it."""

import base64
import hashlib
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from bridge.credentials import files
from bridge.credentials.refusals import UnusableError


class SigningKey(msgspec.Struct, frozen=True):
    """A private key, the `kid` under which tokens name it, and its public half as PEM."""

    private: ec.EllipticCurvePrivateKey
    kid: str
    public: str


def obtain(path: Path) -> SigningKey:
    """Read the signing key; on first start make it. Of processes that start together all get the same one."""
    if not path.exists():
        with files.draft(path) as beside:
            files.write(beside, _fresh())
            files.publish_once(beside, path)
    files.close_to_others(path)
    return _read(path)


def replace(path: Path) -> SigningKey:
    """Write a new signing key over the old one, which is gone for good."""
    with files.draft(path) as beside:
        files.write(beside, _fresh())
        beside.replace(path)
    return _read(path)


def public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """Read a public key that `SigningKey.public` spelled."""
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise UnusableError("A public signing key in the credentials database is not for ES256.")
    return key


def thumbprint(public: ec.EllipticCurvePublicKey) -> str:
    """Name a public key by its RFC 7638 thumbprint, cut to 96 bits: it tells few keys apart, it proves nothing."""
    numbers = public.public_numbers()
    x, y = (_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    return _base64url(hashlib.sha256(canonical.encode()).digest()[:12])


def _fresh() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read(path: Path) -> SigningKey:
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        # The parser's own words may quote the file.
        raise UnusableError(f"{path} is not a private key: restore it, or remove it and issue again.") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise UnusableError(f"{path} is not an ES256 (P-256) private key: restore it, or remove it and issue again.")
    public = private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return SigningKey(private=private, kid=thumbprint(public), public=pem)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
