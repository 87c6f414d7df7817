"""The settings of who may come in. Secrets stand in files or in the environment, in no flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, SecretStr, model_validator
from pydantic.dataclasses import dataclass

from wsproc.auth.tokens import check_principal, hashes_of
from wsproc.setting import Setting

WHO = "Who may come in"


def _as_several(value: Any) -> Any:
    """Take one token for a list of one."""
    return (value,) if isinstance(value, (str, SecretStr)) else value


Tokens: TypeAlias = Annotated[tuple[SecretStr, ...], BeforeValidator(_as_several)]


def _check_tokens(tokens: Mapping[str, tuple[SecretStr, ...]]) -> Any:
    hashes_of(revealed(tokens))
    return tokens


def _check_principals(tasks: Mapping[str, tuple[str, ...]]) -> Any:
    for principal in tasks:
        check_principal(principal)
    return tasks


def revealed(tokens: Mapping[str, tuple[SecretStr, ...]]) -> dict[str, list[str]]:
    """Return the tokens themselves, to be hashed."""
    return {who: [one.get_secret_value() for one in theirs] for who, theirs in tokens.items()}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", hide_input_in_errors=True))
class AuthConfig:
    """Which tokens open the door, and what their owners may do. With none of `tokens`,
    `token_file` and `jwks_file` no token is asked for.
    """

    tokens: Annotated[
        Mapping[str, Tokens],
        AfterValidator(_check_tokens),
        Setting("Each principal's token, or list of tokens.", WHO, flag=None, secret=True),
    ] = field(default_factory=dict, repr=False)
    token_file: Annotated[
        Path | None,
        Setting(
            "Tokens as `wsproc token` writes them: principals and hashes.",
            WHO,
            metavar="FILE",
            unset="none",
        ),
    ] = None
    jwks_file: Annotated[
        Path | None,
        Setting(
            "The public keys of an identity provider, to take its JWTs; needs the extra jwt.",
            WHO,
            metavar="FILE",
            unset="none",
        ),
    ] = None
    jwt_issuer: Annotated[
        str | None, Setting("The iss that a JWT must have.", WHO, unset="any")
    ] = None
    jwt_audience: Annotated[
        str | None, Setting("The aud that a JWT must have.", WHO, unset="a JWT must have none")
    ] = None
    jwt_leeway_s: Annotated[
        float, Setting("Seconds that clocks may differ by.", WHO, least=0, most=600)
    ] = 10.0
    tasks: Annotated[
        Mapping[str, tuple[str, ...]],
        AfterValidator(_check_principals),
        Setting(
            "The tasks that a principal may submit; * stands for those who are not named.",
            WHO,
            flag=None,
        ),
    ] = field(default_factory=dict)
    auth_timeout_s: Annotated[
        float, Setting("Seconds that a client has for its auth frame.", WHO, least=0.01)
    ] = 10.0
    max_strangers: Annotated[
        int, Setting("Connections at a time that have no token yet.", WHO, least=1)
    ] = 256
    metrics_token: Annotated[
        SecretStr | None,
        Setting(
            "Asked for at /metrics, and good for nothing else.",
            WHO,
            flag=None,
            unset="any token that opens the door",
            secret=True,
        ),
    ] = None
    open_metrics: Annotated[
        bool, Setting("Answer /metrics without a token though the server asks for one.", WHO)
    ] = False

    @property
    def asked(self) -> bool:
        """Whether clients need a token."""
        return bool(self.tokens or self.token_file or self.jwks_file)

    @model_validator(mode="after")
    def _jwt_settings_have_keys(self) -> AuthConfig:
        if self.jwks_file is None and (self.jwt_issuer or self.jwt_audience):
            raise ValueError(
                "jwt_issuer and jwt_audience do nothing without jwks_file; give it too"
            )
        return self

    def may_submit(self, principal: str) -> frozenset[str] | None:
        """Return the tasks that a principal may submit; None for all of them."""
        allowed = self.tasks.get(principal, self.tasks.get("*"))
        return None if allowed is None else frozenset(allowed)
