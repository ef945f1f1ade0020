"""Tokens: how a credential is spelled as a JWT, and how one is verified (RFC 7519, RFC 8725)."""

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.credentials.live import Entry, LiveCredentials
from bridge.credentials.refusals import Reason, Refused
from bridge.credentials.signing import SigningKey
from bridge.words.principal import Principal, Role

ISSUER = "popbridge"
MAX_TOKEN = 8 * 1024
CACHED = 20_000  # verified tokens remembered: as many as connections

_ALGORITHM = "ES256"
_TYPE = "popbridge+jwt"  # explicit typing, RFC 8725 section 3.11


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    # Nobody else writes our tokens, so what we do not write (crit, jku, jwk, x5u) is not read but refused.
    alg: str
    kid: str
    typ: str


class _Claims(msgspec.Struct, omit_defaults=True):
    iss: str
    aud: str
    sub: str
    kind: Role
    jti: str
    iat: float
    exp: float
    agent: str | None = None
    demo: bool = False


_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])
_ENCODER = msgspec.json.Encoder()
_HEADERS = msgspec.json.Decoder(_Header)
_CLAIMS = msgspec.json.Decoder(_Claims)


def audience(role: Role) -> str:
    """Name the one door that a kind of credential opens."""
    return f"{ISSUER}/{role.value}"


def mint(key: SigningKey, principal: Principal, *, issued: float, demo: bool) -> str:
    """Spell and sign the token of a credential."""
    claims = _Claims(
        iss=ISSUER,
        aud=audience(principal.role),
        sub=principal.customer,
        kind=principal.role,
        jti=principal.id,
        iat=issued,
        exp=principal.expires,
        agent=principal.agent,
        demo=demo,
    )
    return _JWS.encode(_ENCODER.encode(claims), key.private, _ALGORITHM, {"kid": key.kid, "typ": _TYPE})


class Verifier:
    """Says whose a token is. Sync and without I/O; a token seen before costs a digest and a look-up."""

    def __init__(
        self,
        live: LiveCredentials,
        *,
        demo: bool,
        cached: int = CACHED,
        look_up: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._live = live
        self._demo = demo
        self._look_up = look_up
        self._cached = cached
        self._keys: Mapping[str, ec.EllipticCurvePublicKey] = {}
        self._seen: OrderedDict[bytes, Entry] = OrderedDict()  # by digest: a token is not kept

    def trust(self, keys: Mapping[str, ec.EllipticCurvePublicKey]) -> None:
        """Accept signatures by these public keys, by kid, and by no other."""
        self._keys = keys

    def verify(self, token: str, roles: Container[Role], now: float) -> Principal:
        """Return whose token it is, if it counts at `now` and its kind is one of `roles`; else raise Refused.

        WRONG_KIND is raised only for a token that counts: any other reason means that it opens no door at all.
        """
        if len(token) > MAX_TOKEN:
            raise Refused(Reason.TOO_LONG)
        if not token.isascii():
            raise Refused(Reason.MALFORMED)
        digest = hashlib.blake2b(token.encode(), digest_size=32).digest()
        entry = self._seen.get(digest)
        if entry is not None and now < entry.ends:
            self._seen.move_to_end(digest)
        else:
            entry = self._examine(token, now)
            self._seen[digest] = entry
            if len(self._seen) > self._cached:
                self._seen.popitem(last=False)
        if entry.principal.role not in roles:
            raise Refused(Reason.WRONG_KIND, entry.principal.id)
        return entry.principal

    def _examine(self, token: str, now: float) -> Entry:
        claims = self._read(token)
        if claims.demo and not self._demo:
            raise Refused(Reason.DEMO, claims.jti)
        if claims.exp <= now:
            raise Refused(Reason.EXPIRED, claims.jti)
        entry = self._live.get(claims.jti)
        if entry is None:
            # We signed it: perhaps another process did a moment ago. Nobody else can make us look.
            self._look_up(claims.jti)
            entry = self._live.get(claims.jti)
        if entry is None:
            raise Refused(Reason.UNKNOWN_ID, claims.jti)
        if entry.ends <= now:
            raise Refused(Reason.REVOKED, claims.jti)
        # A leaked signing key alone makes no credential: every claim must be what the registry says was issued.
        if entry.principal != Principal(claims.kind, claims.sub, claims.jti, claims.exp, claims.agent):
            raise Refused(Reason.BAD_CLAIMS, claims.jti)
        return entry

    def _read(self, token: str) -> _Claims:
        key = self._keys.get(_header(token).kid)
        if key is None:
            raise Refused(Reason.UNKNOWN_KID)
        try:
            payload = _JWS.decode(token, key, algorithms=[_ALGORITHM])
        except jwt.PyJWTError:
            raise Refused(Reason.BAD_SIGNATURE) from None
        try:
            claims = _CLAIMS.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refused(Reason.BAD_CLAIMS) from None
        if claims.iss != ISSUER or claims.aud != audience(claims.kind):
            raise Refused(Reason.BAD_CLAIMS, claims.jti)
        return claims


def _header(token: str) -> _Header:
    encoded = token.partition(".")[0]
    try:
        # Lenient about stray characters, as PyJWT's own reading of the whole token is not.
        header = _HEADERS.decode(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(Reason.MALFORMED) from None
    if header.alg != _ALGORITHM or header.typ != _TYPE:
        raise Refused(Reason.MALFORMED)
    return header
