"""The tokens that a server takes, as its settings and the files they name say now."""

from __future__ import annotations

import hmac
import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from wsproc.auth.config import AuthConfig, revealed
from wsproc.auth.grant import UNKNOWN, Authenticator, Denied, FirstThatKnows, Grant, Verdict
from wsproc.auth.tokens import SHORTEST_SAFE, TokenTable, digest_of, hashes_of, parse_tokens
from wsproc.extras import missing
from wsproc.files import BadFile, read_text
from wsproc.frames.errors import CloseCode

T = TypeVar("T")

logger = logging.getLogger("wsproc.auth")


class Keyring:
    """An authenticator whose files can be read again. Knows no token until `load` was called."""

    def __init__(self, config: AuthConfig) -> None:
        self._config = config
        self._authenticator: Authenticator = FirstThatKnows(())

    def __repr__(self) -> str:
        return f"<Keyring {self._authenticator!r}>"

    @property
    def asked(self) -> bool:
        """Whether clients need a token at all."""
        return self._config.asked

    def check(self, token: str) -> Verdict:
        """Return what a token is worth now."""
        verdict = self._authenticator.check(token)
        if isinstance(verdict, Grant) and self._config.may_submit(verdict.principal) == frozenset():
            return Denied("this principal may not come in", CloseCode.FORBIDDEN)
        return verdict

    def stands_by(self, grant: Grant) -> bool:
        """Whether who came in by a grant may stay, by what the files say now."""
        return not self.asked or self._authenticator.stands_by(grant)

    def may_read_metrics(self, token: str | None) -> Verdict:
        """Return whether /metrics may be read: by its own token, or else by any that opens."""
        own = self._config.metrics_token
        if own is None and (self._config.open_metrics or not self.asked):
            return Grant("")
        if token is None:
            return Denied("give a token: Authorization: Bearer")
        if own is None:
            return self.check(token)
        same = hmac.compare_digest(digest_of(own.get_secret_value()), digest_of(token))
        return Grant("") if same else UNKNOWN

    def load(self) -> None:
        """Read the files, again too; raises `BadFile`, and what was known before stays."""
        self._authenticator = FirstThatKnows(tuple(_authenticators(self._config)))


def _authenticators(config: AuthConfig) -> Iterator[Authenticator]:
    """Yield one for each kind of token; the cheap ones first."""
    if config.tokens:
        tokens = revealed(config.tokens)
        _warn_of_short(tokens)
        yield TokenTable(hashes_of(tokens))
    if config.token_file is not None:
        yield _from_file(
            "token_file", config.token_file, lambda text: TokenTable(parse_tokens(text))
        )
    if config.jwks_file is not None:
        yield _from_file("jwks_file", config.jwks_file, lambda text: _signed(text, config))


def _signed(text: str, config: AuthConfig) -> Authenticator:
    try:
        from wsproc.auth.signed import SignedTokens
    except ModuleNotFoundError as error:
        raise BadFile(str(missing("auth.jwks_file", "jwt", error))) from None
    return SignedTokens(
        text,
        issuer=config.jwt_issuer,
        audience=config.jwt_audience,
        leeway_s=config.jwt_leeway_s,
    )


def _from_file(setting: str, file: Path, build: Callable[[str], T]) -> T:
    text = read_text(f"auth.{setting}", file)
    if file.stat().st_mode & stat.S_IWOTH:
        logger.warning("auth.%s: anybody may write to %s; chmod 600 it", setting, file)
    try:
        return build(text)
    except ValueError as error:
        raise BadFile(f"auth.{setting}: {file}: {error}") from None


def _warn_of_short(tokens: dict[str, list[str]]) -> None:
    for principal, theirs in tokens.items():
        if any(len(token) < SHORTEST_SAFE for token in theirs):
            logger.warning(
                "the token of %r has less than %d characters and may be guessed; `wsproc token`"
                " makes a safe one",
                principal,
                SHORTEST_SAFE,
            )


__all__ = ["Keyring"]
