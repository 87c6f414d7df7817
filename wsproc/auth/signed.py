"""JSON Web Tokens of an identity provider, by its public keys in a JWKS document.

PyJWT does the cryptography (the extra `wsproc[jwt]`; nothing else imports this module). What is
decided here: only public keys are taken, since who holds a shared one could sign tokens too; a key
checks the one algorithm that is its own, never the one that a token asks for; a token must have
`exp` and `sub`, and `sub` is the principal. What a token's header says of keys (`jwk`, `jku`,
`x5c`) is not looked at.
"""

from __future__ import annotations

import json
from typing import Any

import jwt

from wsproc.auth.grant import UNKNOWN, Denied, Grant, Verdict
from wsproc.auth.tokens import check_principal


class SignedTokens:
    """Judges JWTs by the keys of a JWKS document; `issuer` and `audience` must match where given.

    `leeway_s` seconds of difference between the clocks are forgiven. Without an audience a token
    that names one is refused, since it was made for somebody else. Raises ValueError for a document
    without a usable key.
    """

    def __init__(
        self,
        jwks: str,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        leeway_s: float = 0,
    ) -> None:
        self._keys = _read_keys(jwks)
        self._issuer = issuer
        self._audience = audience
        self._leeway_s = leeway_s

    def __repr__(self) -> str:
        return f"<SignedTokens by {len(self._keys)} keys>"

    def check(self, token: str) -> Verdict:
        """Return the grant of the token's `sub`, until its `exp`."""
        if not token.isascii():  # bytes of a header that were no text would raise in PyJWT
            return UNKNOWN
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return UNKNOWN
        verdict: Verdict = UNKNOWN
        for key in self._candidates(header):
            verdict = self._check_by(key, token)
            if verdict is not UNKNOWN:
                break
        return verdict

    def stands_by(self, grant: Grant) -> bool:
        """Whether a grant was one of these: they end at their `exp` and are not taken back."""
        return grant.token_hash is None

    def _candidates(self, header: dict[str, Any]) -> list[jwt.PyJWK]:
        """Return the keys of the token's algorithm, by its key id where both have one."""
        wanted, algorithm = header.get("kid"), header.get("alg")
        return [
            key
            for key in self._keys
            if key.algorithm_name == algorithm
            and (None in (wanted, key.key_id) or wanted == key.key_id)
        ]

    def _check_by(self, key: jwt.PyJWK, token: str) -> Verdict:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway_s,
                options={"require": ["exp", "sub"]},
            )
            check_principal(claims["sub"])
            return Grant(claims["sub"], int(claims["exp"]) + self._leeway_s)
        except (jwt.PyJWTError, ValueError) as error:
            return _explain(error)


_REASONS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "the token has expired; get a new one",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token was made for another audience",
    jwt.InvalidIssuerError: "the token is of another issuer",
    jwt.MissingRequiredClaimError: "the token lacks a claim: exp, sub, or a due iss or aud",
    jwt.exceptions.InvalidSubjectError: "the token's sub is no name",
}
"""What is told of a token whose signature was right: PyJWT looks at that first."""


def _explain(error: Exception) -> Denied:
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return Denied(reason, recognised=True)
    if isinstance(error, jwt.PyJWTError):
        return UNKNOWN
    return Denied("the token's sub is no name for a principal", recognised=True)


def _read_keys(jwks: str) -> list[jwt.PyJWK]:
    """Return the keys that may sign; raises ValueError for a document that has none or others."""
    try:
        document = json.loads(jwks)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("this is no JSON; a JWKS document is expected") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ValueError('a JWKS document has a list of keys: {"keys": [...]}')
    keys = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"keys[{index}] is no JSON object")
        if entry.get("use", "sig") != "sig":
            continue
        if "d" in entry or "k" in entry:
            raise ValueError(f"keys[{index}] holds a secret; give public keys alone")
        try:
            keys.append(jwt.PyJWK.from_dict(entry))
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # of a kind that is not known here: to be ignored (RFC 7517, section 5)
    if not keys:
        raise ValueError("none of the keys can check a signature; RSA, EC and OKP keys can")
    return keys


__all__ = ["SignedTokens"]
