"""Certificates: TLS for the listeners, from PEM files that may be replaced while the bridge runs."""

import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridge.words.settings import Tls

_DEVELOPMENT_DAYS = 90


class CertificateError(Exception):
    """The files cannot be used; the text says which and why."""


class Listener:
    """TLS for one listener. The same context serves for its whole life; `reload` changes what new handshakes get."""

    def __init__(self, settings: Tls) -> None:
        self._settings = settings
        self.context = _load(settings)

    def reload(self) -> None:
        """Read the files again; CertificateError leaves everything as it was."""
        _load(self._settings)
        self.context.load_cert_chain(self._settings.certificate, self._settings.key)


def _load(settings: Tls) -> ssl.SSLContext:
    # TLS 1.2 stays allowed: older telephony platforms know nothing newer, and send no server name.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or getattr(error, "reason", None) or "not a PEM certificate with its key"
        raise CertificateError(f"TLS: {settings.certificate} with {settings.key}: {reason}") from error
    return context


def make_development_pair(folder: Path, hosts: Sequence[str]) -> tuple[Path, Path]:
    """Write a self-signed certificate for these hosts and its key (0600) into a folder; give the two paths.

    RSA, since that is what every telephony platform's trust store takes; 90 days.
    """
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=_DEVELOPMENT_DAYS))
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_path, certificate_path = folder / "dev.key", folder / "dev.crt"
    with os.fdopen(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_path, key_path


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
