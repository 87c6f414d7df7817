"""JSON Web Tokens by the public keys of a JWKS document."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.auth.signer import Signer
from wsproc.auth import Denied, Grant
from wsproc.auth.grant import UNKNOWN
from wsproc.auth.signed import SignedTokens

EC, RSA, ED = Signer("ES256", "ec-1"), Signer("RS256", "rsa-1"), Signer("EdDSA", "ed-1")
OTHER = Signer("ES256", "ec-1")
"""Another's key under the same id."""

NOW, DAY = int(time.time()), 86_400


def tokens(*signers: Signer, **settings: Any) -> SignedTokens:
    """Return a judge who knows the keys of these signers."""
    known = signers or (EC, RSA, ED)
    return SignedTokens(json.dumps({"keys": [one.public for one in known]}), **settings)


@pytest.mark.parametrize("signer", [EC, RSA, ED])
def test_the_subject_is_the_principal_until_the_token_expires(signer: Signer):
    """For each kind of key, found by its id among the others."""
    token = signer.sign(sub="alice", exp=NOW + DAY)
    assert tokens().check(token) == Grant("alice", NOW + DAY)


def test_a_key_is_found_without_an_id():
    """By its algorithm, as providers with one key leave the id out."""
    token = EC.sign(kid=None, sub="alice", exp=NOW + DAY)
    assert isinstance(tokens(OTHER, RSA, EC).check(token), Grant)


def test_clocks_may_differ_by_the_leeway():
    """It counts at the handshake and at the end of the connection alike."""
    token = EC.sign(sub="alice", exp=NOW - 60)
    assert tokens(leeway_s=DAY).check(token) == Grant("alice", NOW - 60 + DAY)
    assert isinstance(tokens(leeway_s=5).check(token), Denied)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": NOW - 60}, "expired"),
        ({"nbf": NOW + DAY}, "not valid yet"),
        ({"iss": "https://other.example"}, "another issuer"),
        ({"iss": None}, "lacks a claim"),
        ({"aud": "other"}, "another audience"),
        ({"aud": None}, "lacks a claim"),
        ({"exp": None}, "lacks a claim"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": 7}, "sub is no name"),
        ({"sub": ""}, "no name for a principal"),
        ({"sub": "a\nb"}, "no name for a principal"),
        ({"sub": "a" * 256}, "no name for a principal"),
    ],
)
def test_what_is_wrong_with_a_token_that_was_signed_is_told(claims: dict, words: str):
    """In words that fit into a close and hold nothing of the token."""
    good = {"sub": "alice", "exp": NOW + DAY, "iss": "https://id.example", "aud": "wsproc"}
    token = EC.sign(**{**good, **claims})
    denied = tokens(issuer="https://id.example", audience="wsproc").check(token)
    assert isinstance(denied, Denied)
    assert words in denied.reason
    assert denied.recognised
    assert len(denied.reason.encode()) <= 123


def test_a_token_for_somebody_is_not_taken_by_anybody():
    """Without an audience of its own a server refuses a token that names one."""
    token = EC.sign(sub="alice", exp=NOW + DAY, aud="another service")
    assert isinstance(tokens().check(token), Denied)


def _by_the_public_key(header: dict[str, Any]) -> str:
    """Sign with HMAC, the RSA key's public text as the secret: the classic confusion."""
    head = _b64(json.dumps({"typ": "JWT", **header}).encode())
    body = _b64(json.dumps({"sub": "mallory", "exp": NOW + DAY}).encode())
    secret = json.dumps(RSA.public).encode()
    return f"{head}.{body}.{_b64(hmac.digest(secret, f'{head}.{body}'.encode(), hashlib.sha256))}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _embedding_its_key() -> str:
    claims = {"sub": "mallory", "exp": NOW + DAY}
    headers = {"kid": "ec-1", "jwk": OTHER.public, "jku": "https://evil.example/jwks.json"}
    return jwt.encode(claims, OTHER.private, "ES256", headers=headers)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "no-jwt-at-all",
        "a.b.c",
        jwt.encode({"sub": "mallory", "exp": NOW + DAY}, None, "none"),
        _by_the_public_key({"alg": "HS256", "kid": "rsa-1"}),
        _by_the_public_key({"alg": "RS256", "kid": "rsa-1"}),
        _by_the_public_key({"alg": "ES256", "kid": ["ec-1"]}),
        OTHER.sign(sub="mallory", exp=NOW + DAY),
        OTHER.sign(kid="unknown", sub="mallory", exp=NOW + DAY),
        OTHER.sign(sub="mallory", exp=NOW - 600),
        EC.sign(sub="mallory", exp=1e400),
        _embedding_its_key(),
        "\udcff\udcfe.e30.e30",
        "é.e30.e30",
        f"{_b64(b'[' * 6000)}.e30.e30",
        f"{_b64(b'[]')}.e30.e30",
    ],
)
def test_what_was_not_signed_by_a_known_key_is_unknown(token: str):
    """No algorithm but the key's own, no key of the token's own; more than that is not told."""
    assert tokens().check(token) is UNKNOWN


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=40))
def test_whatever_is_presented_is_judged(head: str, body: str, signature: str):
    """A check raises for nothing."""
    parts = [_b64(part.encode("utf-8", "surrogatepass")) for part in (head, body, signature)]
    for token in (head, ".".join(parts), f"{parts[0]}.{body}.{signature}"):
        assert isinstance(tokens(EC).check(token), Denied)


@pytest.mark.parametrize(
    ("jwks", "words"),
    [
        ("nonsense", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "has a list of keys"),
        ('{"keys": []}', "has a list of keys"),
        ('{"keys": [7]}', r"keys\[0\] is no JSON object"),
        ('{"keys": [{"kty": "future"}]}', "none of the keys can check a signature"),
        (json.dumps({"keys": [{**EC.public, "use": "enc"}]}), "none of the keys"),
        ('{"keys": [{"kty": "oct", "k": "aHVudGVyMg"}]}', r"keys\[0\] holds a secret"),
        (json.dumps({"keys": [EC.public, EC.secret]}), r"keys\[1\] holds a secret"),
    ],
)
def test_a_document_without_usable_keys_is_refused(jwks: str, words: str):
    """In one sentence, without what is secret in it."""
    with pytest.raises(ValueError, match=words) as caught:
        SignedTokens(jwks)
    assert "aHVudGVyMg" not in str(caught.value)
    assert EC.secret["d"] not in str(caught.value)


def test_keys_of_kinds_that_are_not_known_are_passed_over():
    """A provider may publish keys for others too."""
    document = {"keys": [{"kty": "future"}, {**RSA.public, "use": "enc"}, EC.public]}
    judge = SignedTokens(json.dumps(document))
    assert repr(judge) == "<SignedTokens by 1 keys>"
    assert isinstance(judge.check(EC.sign(sub="alice", exp=NOW + DAY)), Grant)
