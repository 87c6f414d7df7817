"""Tokens that are known by their hash, and the file that lists them. Pure.

A line of the file is `principal:sha256$HASH`, HASH the SHA-256 of the token in hexadecimal; `#`
begins a comment. One principal may have several lines, so that a token can be replaced while the
old one is in use. Tokens are long and random, so a plain hash is enough: there is nothing to guess
that stretching would make slower, and a check costs microseconds on the event loop.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping

from wsproc.auth.grant import UNKNOWN, Grant, Verdict

ALGORITHM = "sha256"

SHORTEST_SAFE = 20
"""Characters below which a token may be guessed; those that are made here have 47."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What a bearer token may consist of (RFC 6750, section 2.1): else no header can carry it."""

_HASH = re.compile(r"[0-9a-f]{64}")

MAX_PRINCIPAL_CHARS = 255


class TokenTable:
    """Principals by the hashes of their tokens; the tokens themselves are not kept.

    A hash is looked up under a key of this process, so how long that takes tells nothing of it.
    """

    def __init__(self, hashes: Iterable[tuple[str, bytes]]) -> None:
        self._key = secrets.token_bytes(32)
        self._principals = {self._index(digest): who for who, digest in hashes}

    def __repr__(self) -> str:
        return f"<TokenTable of {len(self._principals)} tokens>"

    def __len__(self) -> int:
        return len(self._principals)

    def check(self, token: str) -> Verdict:
        """Return the grant of the principal who has this token."""
        digest = digest_of(token)
        principal = self._principals.get(self._index(digest))
        return UNKNOWN if principal is None else Grant(principal, token_hash=digest)

    def stands_by(self, grant: Grant) -> bool:
        """Whether the token of a grant is still its principal's."""
        digest = grant.token_hash
        return digest is not None and self._principals.get(self._index(digest)) == grant.principal

    def _index(self, digest: bytes) -> bytes:
        return hmac.digest(self._key, digest, ALGORITHM)


def digest_of(token: str) -> bytes:
    """Return a token's hash, whatever characters it has."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def hashes_of(tokens: Mapping[str, Iterable[str]]) -> list[tuple[str, bytes]]:
    """Return the hashes of each principal's tokens.

    Raises ValueError, naming the principal and never the token, for what cannot be one.
    """
    hashes = []
    for principal, theirs in tokens.items():
        check_principal(principal)
        for token in theirs:
            check_token(token, principal)
            hashes.append((principal, digest_of(token)))
    _check_distinct(hashes)
    return hashes


def parse_tokens(text: str) -> list[tuple[str, bytes]]:
    """Return the principals and hashes of a token file.

    Raises ValueError, naming the line, for one that cannot be read.
    """
    hashes = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            hashes.append(_parse_line(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    _check_distinct(hashes)
    return hashes


def line_of(principal: str, token: str) -> str:
    """Return the line of a token file that lets a principal in with a token."""
    check_principal(principal)
    check_token(token, principal)
    return f"{principal}:{ALGORITHM}${digest_of(token).hex()}"


def check_principal(name: str) -> None:
    """Raise ValueError for a name that cannot stand in a log line or a token file."""
    if not 0 < len(name) <= MAX_PRINCIPAL_CHARS or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"the principal {name[:40]!r} is no name; give 1 to {MAX_PRINCIPAL_CHARS} printable"
            " characters without blanks around them"
        )
    if name.startswith("#"):
        raise ValueError(f"the principal {name[:40]!r} begins with #, as comments do")


def check_token(token: str, principal: str) -> None:
    """Raise ValueError for a token that no header can carry."""
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            f"the token of {principal!r} cannot be sent in a header; use letters, digits and"
            " -._~+/ alone, or let `wsproc token` make one"
        )


def _parse_line(line: str) -> tuple[str, bytes]:
    # Nothing of the line is told: who wrote it wrongly may have put the token itself there.
    principal, colon, value = line.rpartition(":")
    algorithm, dollar, digest = value.partition("$")
    if not (colon and dollar and principal):
        raise ValueError(f"write it as principal:{ALGORITHM}$HASH; `wsproc token NAME` makes one")
    if algorithm != ALGORITHM or not _HASH.fullmatch(digest):
        raise ValueError(
            f"behind the principal stands {ALGORITHM}$ and 64 hexadecimal digits in lower case;"
            " `wsproc token NAME` makes such a line"
        )
    check_principal(principal)
    return principal, bytes.fromhex(digest)


def _check_distinct(hashes: Iterable[tuple[str, bytes]]) -> None:
    owners: dict[bytes, str] = {}
    for principal, digest in hashes:
        other = owners.setdefault(digest, principal)
        if other != principal:
            raise ValueError(
                f"{other!r} and {principal!r} have the same token; give each one of its own"
            )


__all__ = ["SHORTEST_SAFE", "TokenTable", "hashes_of", "line_of", "parse_tokens"]
