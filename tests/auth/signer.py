"""An identity provider of one key."""

from __future__ import annotations

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

_MAKERS = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class Signer:
    """Signs tokens by a key that was made for it; `public` and `secret` are its JWKs."""

    def __init__(self, algorithm: str, kid: str) -> None:
        self.private = _MAKERS[algorithm]()
        self.algorithm = algorithm
        named = {"kid": kid, "alg": algorithm, "use": "sig"}
        jwk = jwt.get_algorithm_by_name(algorithm).to_jwk
        self.public = {**json.loads(jwk(self.private.public_key())), **named}
        self.secret = {**json.loads(jwk(self.private)), **named}

    def sign(self, kid: str | None = "own", **claims: Any) -> str:
        """Return a token; claims that are None are left out, the key's id is told unless None."""
        own = self.public["kid"] if kid == "own" else kid
        headers = {} if own is None else {"kid": own}
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, self.private, self.algorithm, headers=headers)
