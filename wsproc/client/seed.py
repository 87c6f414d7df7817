"""The seed of a generation whose caller gives none. Pure."""

from __future__ import annotations

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1
_SPARE_BITS = 16


def seed_of(session: str, job: str) -> int:
    """Return the same seed for a submit that is made again, so that it is the same submit.

    It is FNV-1a of both, its upper 48 bits: a whole number that every JSON reader keeps exact. The
    session is a secret, so nobody can guess it; the JavaScript client derives the same one.
    """
    digest = _OFFSET
    for byte in f"{session} {job}".encode():
        digest = (digest ^ byte) * _PRIME & _MASK
    return digest >> _SPARE_BITS
