"""Assertion: the JWT by which the bridge asks for a token (RFC 7523)."""

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from bridge.words.settings import Crm

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIVES = 180


def sign(crm: Crm, audience: str, key: RSAPrivateKey, now: float) -> str:
    """Sign one: `iss` is the consumer key, `sub` the user, `exp` three minutes from now."""
    claims = {"iss": crm.consumer_key, "sub": crm.user_id, "aud": audience, "exp": int(now) + LIVES}
    return jwt.encode(claims, key, "RS256")
