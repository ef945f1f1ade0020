"""Keyring: the public keys of all signing keys whose tokens may still count."""

from cryptography.hazmat.primitives.asymmetric import ec

from bridge.credentials.database import Transaction
from bridge.credentials.signing import SigningKey, public_key

ENTER = """
    INSERT INTO signing_keys (kid, public, created) VALUES (?, ?, ?)
    ON CONFLICT (kid) DO UPDATE SET retired = NULL WHERE retired IS NOT NULL
"""
RETIRE_OTHERS = "UPDATE signing_keys SET retired = ? WHERE kid <> ? AND retired IS NULL"
ALL = "SELECT kid, public FROM signing_keys"
PURGE = """
    DELETE FROM signing_keys WHERE retired IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM credentials WHERE credentials.kid = signing_keys.kid AND expires > ?)
"""

Keyring = dict[str, ec.EllipticCurvePublicKey]


async def enter(writing: Transaction, key: SigningKey, now: float) -> None:
    """Enter the public half of the key that signs now."""
    await writing.run(ENTER, key.kid, key.public, now)


async def retire_others(writing: Transaction, key: SigningKey, now: float) -> None:
    """Note that no other key signs any more."""
    await writing.run(RETIRE_OTHERS, now, key.kid)


async def load(reading: Transaction, known: Keyring) -> Keyring:
    """Read all public keys; those of `known` are not parsed again."""
    rows = [(str(row["kid"]), str(row["public"])) async for row in reading.each(ALL)]
    return {kid: known.get(kid) or public_key(public) for kid, public in rows}


async def purge(writing: Transaction, now: float) -> None:
    """Forget retired keys whose last token has expired."""
    await writing.run(PURGE, now)
