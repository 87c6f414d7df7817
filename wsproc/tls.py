"""TLS from certificate files that can be read again while connections live.

The context that listens never changes. At each handshake it hands over to the newest context that
could be built, so a renewed certificate counts from the next handshake on, whole or not at all: a
context whose certificate was loaded and whose key was not is never used. Connections that are open
keep what they were made with.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, SecretStr, model_validator
from pydantic.dataclasses import dataclass

from wsproc.files import BadFile
from wsproc.setting import Setting

TLS = "TLS"


@dataclass(frozen=True, config=ConfigDict(extra="forbid", hide_input_in_errors=True))
class TlsConfig:
    """The files of a certificate; without `cert` connections are not encrypted."""

    cert: Annotated[
        Path | None,
        Setting(
            "The certificate and its chain, as PEM; makes it wss://.",
            TLS,
            flag="--tls-cert",
            metavar="FILE",
            unset="none",
        ),
    ] = None
    key: Annotated[
        Path | None,
        Setting(
            "The certificate's private key, as PEM.",
            TLS,
            flag="--tls-key",
            metavar="FILE",
            unset="in the certificate's file",
        ),
    ] = None
    password: Annotated[
        SecretStr | None,
        Setting(
            "What the private key is encrypted with.", TLS, flag=None, unset="none", secret=True
        ),
    ] = None

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> TlsConfig:
        if self.cert is None and (self.key or self.password):
            raise ValueError("a key alone encrypts nothing; give the certificate, --tls-cert, too")
        return self


class LiveTls:
    """The server's end of TLS. Call `load` before the first handshake, and when files changed."""

    def __init__(self, config: TlsConfig) -> None:
        assert config.cert is not None, "TLS needs a certificate"
        self._cert, self._key = config.cert, config.key
        self._password = config.password
        self._newest: ssl.SSLContext | None = None
        self.listening = _context()
        self.listening.sni_callback = self._hand_over

    def __repr__(self) -> str:
        return f"<LiveTls {self._cert}>"

    def load(self) -> None:
        """Read the files; raises `BadFile`, and what was read before stays in use."""
        context = _context()
        try:
            context.load_cert_chain(self._cert, self._key, self._password_asked_for)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise BadFile(self._explain(error)) from None
        self._newest = context

    def _hand_over(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> None:
        assert self._newest is not None, "load was not called"
        connection.context = self._newest

    def _password_asked_for(self) -> str:
        # Without this OpenSSL would ask at the terminal, and wait.
        if self._password is None:
            raise _NoPasswordError
        return self._password.get_secret_value()

    def _explain(self, error: OSError | ValueError) -> str:
        cert, key = self._cert, self._key or self._cert
        if isinstance(error, _NoPasswordError):
            return f"tls.key: {key} is encrypted; give WSPROC_TLS__PASSWORD, or a key without one"
        if not isinstance(error, ssl.SSLError):
            missing = next((one for one in (cert, key) if not one.is_file()), None)
            if missing is not None:
                return f"tls: there is no file {missing}"
            words = error.strerror if isinstance(error, OSError) else error
            return f"tls: {cert} and {key} cannot be read: {words}"
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"tls: the key {key} does not belong to the certificate {cert}"
        hint = ", or tls.password does not open it" if self._password is not None else ""
        return f"tls: {cert} and {key} hold no certificate with its private key, as PEM{hint}"


class _NoPasswordError(ValueError):
    """The key is encrypted and no password was given."""


def _context() -> ssl.SSLContext:
    """Return a context by Python's defaults for servers, of TLS 1.2 at least and for HTTP/1.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


__all__ = ["TLS", "LiveTls", "TlsConfig"]
