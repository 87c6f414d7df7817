"""Certificates made for a test, each by an authority of its own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Certificate:
    """A certificate for this machine, and who trusts it."""

    cert: Path
    key: Path
    authority: Path

    def client_context(self) -> ssl.SSLContext:
        """Return a client that trusts this certificate and no other."""
        return ssl.create_default_context(cafile=self.authority)

    def copy_to(self, cert: Path, key: Path, password: str | None = None) -> None:
        """Write the certificate and its key there, the key under a password if there is one."""
        cert.write_bytes(self.cert.read_bytes())
        data = self.key.read_bytes()
        if password is not None:
            data = load_pem_private_key(data, None).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
            )
        key.write_bytes(data)


def self_made(folder: Path, name: str) -> Certificate:
    """Return a new certificate for 127.0.0.1 and localhost, its files in a folder."""
    authority = trustme.CA()
    made = authority.issue_cert("localhost", "127.0.0.1")
    one = Certificate(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.ca.pem")
    one.cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    made.private_key_pem.write_to_path(one.key)
    authority.cert_pem.write_to_path(one.authority)
    return one
