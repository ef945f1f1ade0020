"""Hostile tokens, and what the verifier remembers."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bridge.credentials import signing
from bridge.credentials.authority import ALL_ROLES, Credentials, Issued
from bridge.credentials.refusals import Reason, Refused
from bridge.words.principal import Principal, Role
from tests.credentials.conftest import Clock

KEYS = frozenset({Role.KEY})


@pytest.fixture
async def issued(credentials: Credentials) -> Issued:
    return await credentials.issue(Role.KEY, "acme", expires_in=3600)


def reason(credentials: Credentials, token: str, now: float, roles: frozenset[Role] = ALL_ROLES) -> Reason:
    with pytest.raises(Refused) as refusal:
        credentials.verify(token, roles, now)
    assert token not in str(refusal.value)
    return refusal.value.reason


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = token.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims))


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def own_key(data: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key((data / "signing.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def forge(data: Path, token: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """Sign with the real key what was never issued; a claim or header that is None is left out."""
    old_header, old_claims = parts(token)
    new = {name: value for name, value in (old_claims | claims).items() if value is not None}
    return jwt.PyJWS().encode(
        json.dumps(new).encode(), own_key(data), "ES256", {**old_header, **(header or {})}, sort_headers=False
    )


async def test_a_token_says_who_it_is_for_and_opens_only_its_door(credentials: Credentials, clock: Clock) -> None:
    issued = await credentials.issue(Role.DESKTOP, "acme", agent="b/ü 😀", expires_in=60)
    principal = credentials.verify(issued.token, {Role.DESKTOP}, clock.now)
    assert principal == Principal(Role.DESKTOP, "acme", issued.id, clock.now + 60, "b/ü 😀")
    assert reason(credentials, issued.token, clock.now, KEYS) is Reason.WRONG_KIND
    header, claims = parts(issued.token)
    assert set(header) == {"alg", "kid", "typ"}
    assert set(claims) == {"iss", "aud", "sub", "kind", "agent", "jti", "iat", "exp"}
    assert (header["alg"], claims["iss"], claims["aud"]) == ("ES256", "popbridge", "popbridge/desktop")


async def test_the_secret_is_not_in_what_is_printed_of_it(issued: Issued) -> None:
    assert issued.token not in repr(issued)
    assert issued.id in repr(issued)


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", ""])
def test_an_unsigned_token_is_refused(credentials: Credentials, issued: Issued, clock: Clock, algorithm: str) -> None:
    header, claims = parts(issued.token)
    unsigned = f"{encode(header | {'alg': algorithm})}.{encode(claims)}."
    assert reason(credentials, unsigned, clock.now) is Reason.MALFORMED
    assert reason(credentials, f"{unsigned.rstrip('.')}.{issued.token.split('.')[2]}", clock.now) is Reason.MALFORMED
    assert reason(credentials, issued.token.rpartition(".")[0] + ".", clock.now) is Reason.BAD_SIGNATURE
    assert reason(credentials, issued.token.rpartition(".")[0], clock.now) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_the_public_key_is_no_hmac_secret(
    credentials: Credentials, data: Path, issued: Issued, clock: Clock, algorithm: str
) -> None:
    header, claims = parts(issued.token)
    signing_input = f"{encode(header | {'alg': algorithm})}.{encode(claims)}"
    pem = signing.obtain(data / "signing.key").public.encode()
    mac = base64.urlsafe_b64encode(hmac.digest(pem, signing_input.encode(), hashlib.sha256)).rstrip(b"=").decode()
    assert reason(credentials, f"{signing_input}.{mac}", clock.now) in {Reason.MALFORMED, Reason.BAD_SIGNATURE}


def test_another_algorithm_or_curve_is_refused(credentials: Credentials, issued: Issued, clock: Clock) -> None:
    header, claims = parts(issued.token)
    rsa_key = rsa.generate_private_key(65537, 2048)
    for key, algorithm in ((rsa_key, "RS256"), (ec.generate_private_key(ec.SECP384R1()), "ES384")):
        token = jwt.encode(claims, key, algorithm, {"kid": header["kid"], "typ": header["typ"]})
        assert reason(credentials, token, clock.now) is Reason.MALFORMED


def test_another_key_under_our_kid_is_refused(credentials: Credentials, issued: Issued, clock: Clock) -> None:
    header, claims = parts(issued.token)
    token = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", header)
    assert reason(credentials, token, clock.now) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"jku": "http://127.0.0.1/keys"},
        {"jwk": {"kty": "EC"}},
        {"x5u": "http://127.0.0.1/cert"},
        {"typ": "JWT"},
        {"b64": True},
        {"kid": 7},
    ],
)
def test_a_header_that_we_do_not_write_is_refused_unread(
    credentials: Credentials, issued: Issued, clock: Clock, extra: dict[str, Any]
) -> None:
    header, _ = parts(issued.token)
    token = f"{encode(header | extra)}.{issued.token.partition('.')[2]}"
    assert reason(credentials, token, clock.now) is Reason.MALFORMED


@pytest.mark.parametrize("missing", ["alg", "kid", "typ"])
def test_every_header_field_is_required(credentials: Credentials, issued: Issued, clock: Clock, missing: str) -> None:
    header, _ = parts(issued.token)
    del header[missing]
    assert reason(credentials, f"{encode(header)}.{issued.token.partition('.')[2]}", clock.now) is Reason.MALFORMED


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "kind", "jti", "iat", "exp"])
def test_every_claim_is_required(
    credentials: Credentials, data: Path, issued: Issued, clock: Clock, missing: str
) -> None:
    assert reason(credentials, forge(data, issued.token, **{missing: None}), clock.now) is Reason.BAD_CLAIMS


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"aud": "popbridge/admin"},
        {"aud": ["popbridge/key"]},
        {"kind": "admin"},
        {"kind": "root"},
        {"exp": "2030"},
        {"jti": 5},
    ],
)
def test_claims_that_do_not_fit_together_are_refused(
    credentials: Credentials, data: Path, issued: Issued, clock: Clock, claims: dict[str, Any]
) -> None:
    assert reason(credentials, forge(data, issued.token, **claims), clock.now) is Reason.BAD_CLAIMS


@pytest.mark.parametrize(
    "claims",
    [
        {"kind": "admin", "aud": "popbridge/admin"},
        {"sub": "globex"},
        {"exp": 9_999_999_999},
        {"agent": "1001"},
    ],
)
def test_a_leaked_signing_key_makes_no_more_of_a_credential_than_was_issued(
    credentials: Credentials, data: Path, issued: Issued, clock: Clock, claims: dict[str, Any]
) -> None:
    assert credentials.verify(forge(data, issued.token), KEYS, clock.now).id == issued.id
    assert reason(credentials, forge(data, issued.token, **claims), clock.now) is Reason.BAD_CLAIMS


def test_an_id_that_was_never_issued_is_refused(
    credentials: Credentials, data: Path, issued: Issued, clock: Clock
) -> None:
    assert reason(credentials, forge(data, issued.token, jti="key-0123456789abcdef"), clock.now) is Reason.UNKNOWN_ID


async def test_a_token_of_another_data_directory_is_refused(
    credentials: Credentials, tmp_path: Path, clock: Clock
) -> None:
    async with Credentials.open(tmp_path / "other", clock=clock) as other:
        theirs = await other.issue(Role.KEY, "acme", expires_in=3600)
    assert reason(credentials, theirs.token, clock.now) is Reason.UNKNOWN_KID


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "ö.ö.ö", "\ud800", "eyJ", "bnVsbA.bnVsbA.bnVsbA", "[" * 8192, "\0"],
)
def test_what_is_no_token_is_refused(credentials: Credentials, clock: Clock, token: str) -> None:
    with pytest.raises(Refused) as refusal:
        credentials.verify(token, ALL_ROLES, clock.now)
    assert refusal.value.reason is Reason.MALFORMED


def test_deep_nesting_in_header_or_claims_is_refused(
    credentials: Credentials, data: Path, issued: Issued, clock: Clock
) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=").decode()
    assert reason(credentials, f"{deep}.{deep}.AAAA", clock.now) is Reason.MALFORMED
    header, _ = parts(issued.token)
    signed = jwt.PyJWS().encode(b'{"iss":' + b"[" * 3000, own_key(data), "ES256", header)
    assert reason(credentials, signed, clock.now) is Reason.BAD_CLAIMS


def test_stray_characters_in_a_good_token_are_refused(credentials: Credentials, issued: Issued, clock: Clock) -> None:
    header, claims, signature = issued.token.split(".")
    for token in (
        f" {issued.token}",
        f"{issued.token}\n",
        f"{issued.token}.",
        f"{header}.{claims}.{signature[:10]}!{signature[10:]}",
        f"{header}!.{claims}.{signature}",
    ):
        assert reason(credentials, token, clock.now) in {Reason.BAD_SIGNATURE, Reason.MALFORMED}


def test_a_token_over_8_kb_is_refused_before_any_work(
    credentials: Credentials, data: Path, issued: Issued, clock: Clock
) -> None:
    assert reason(credentials, "x" * 9 * 1024, clock.now) is Reason.TOO_LONG
    assert reason(credentials, forge(data, issued.token, padding="x" * 9 * 1024), clock.now) is Reason.TOO_LONG


async def test_a_demo_credential_is_refused_by_everyone_but_a_demo(data: Path, clock: Clock) -> None:
    async with Credentials.open(data, demo=True, clock=clock) as demo:
        issued = await demo.issue(Role.KEY, "acme", expires_in=3600)
        earnest = await demo.issue(Role.KEY, "acme", expires_in=3600, demo=False)
        assert parts(issued.token)[1]["demo"] is True
        assert "demo" not in parts(earnest.token)[1]
        assert demo.verify(issued.token, KEYS, clock.now).id == issued.id
        assert demo.verify(earnest.token, KEYS, clock.now).id == earnest.id
    async with Credentials.open(data, clock=clock) as serving:
        assert reason(serving, issued.token, clock.now) is Reason.DEMO
        assert serving.verify(earnest.token, KEYS, clock.now).id == earnest.id


def test_a_remembered_token_does_not_outlive_its_expiry(credentials: Credentials, issued: Issued, clock: Clock) -> None:
    principal = credentials.verify(issued.token, KEYS, clock.now)
    assert credentials.verify(issued.token, KEYS, issued.expires - 0.001) == principal
    assert credentials.alive(principal, issued.expires - 0.001)
    assert reason(credentials, issued.token, issued.expires) is Reason.EXPIRED
    assert not credentials.alive(principal, issued.expires)
    assert credentials.verify(issued.token, KEYS, clock.now) == principal


async def test_a_remembered_token_does_not_outlive_its_revocation(
    credentials: Credentials, issued: Issued, clock: Clock
) -> None:
    principal = credentials.verify(issued.token, KEYS, clock.now)
    assert await credentials.revoke(issued.id)
    assert reason(credentials, issued.token, clock.now) is Reason.REVOKED
    assert not credentials.alive(principal, clock.now)


async def test_more_tokens_than_are_remembered_are_verified_all_the_same(
    credentials: Credentials, clock: Clock
) -> None:
    credentials._verifier._cached = 3
    issued = await credentials.issue_many(Role.DESKTOP, "acme", [str(n) for n in range(10)], expires_in=60)
    for _ in range(2):
        agents = [credentials.verify(one.token, ALL_ROLES, clock.now).agent for one in issued]
        assert agents == [str(n) for n in range(10)]
    assert len(credentials._verifier._seen) == 3
    assert not any(one.token.encode() in credentials._verifier._seen for one in issued)
