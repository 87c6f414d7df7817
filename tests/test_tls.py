"""Certificate files, read and read again."""

import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.certificates import Certificate, self_made
from wsproc.files import BadFile
from wsproc.tls import LiveTls, TlsConfig

PASSWORD = "hunter2-of-the-key"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, Certificate]:
    """Two certificates for the same name, from two authorities."""
    folder = tmp_path_factory.mktemp("tls")
    return self_made(folder, "a"), self_made(folder, "b")


def presented(live: LiveTls, name: str | None, trusted: Certificate) -> str | None:
    """Shake hands in memory; return the version, None where the certificate is not trusted."""
    client_context = trusted.client_context()
    client_context.check_hostname = name is not None
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = live.listening.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError:
            return None
    return client.version()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", None])
def test_a_renewed_certificate_counts_from_the_next_handshake(name: str | None, files, tmp_path):
    """Whether the client names the server or not."""
    old, new = files
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    old.copy_to(cert, key)
    live = LiveTls(TlsConfig(cert=cert, key=key))
    live.load()
    assert presented(live, name, old) == "TLSv1.3"
    new.copy_to(cert, key)
    assert presented(live, name, new) is None
    live.load()
    assert presented(live, name, new) == "TLSv1.3"
    assert presented(live, name, old) is None


def test_a_half_renewed_pair_changes_nothing(files, tmp_path: Path):
    """The certificate is new and the key still old: what was read before stays in use."""
    old, new = files
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    old.copy_to(cert, key)
    live = LiveTls(TlsConfig(cert=cert, key=key))
    live.load()
    cert.write_bytes(new.cert.read_bytes())
    with pytest.raises(BadFile, match="does not belong to the certificate"):
        live.load()
    assert presented(live, "localhost", old) == "TLSv1.3"


def test_old_versions_of_tls_are_not_spoken(files):
    """TLS 1.2 is the least."""
    a, _ = files
    live = LiveTls(TlsConfig(cert=a.cert, key=a.key))
    live.load()
    assert live.listening.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cert": "a.pem", "key": "b.key"}, "b.key does not belong to the certificate"),
        ({"cert": "none.pem", "key": "a.key"}, "there is no file"),
        ({"cert": "a.pem", "key": "none.key"}, "there is no file"),
        ({"cert": "a.pem"}, "hold no certificate with its private key"),
        ({"cert": "a.key", "key": "a.pem"}, "hold no certificate with its private key"),
        ({"cert": "locked.pem", "key": "locked.key"}, "is encrypted; give WSPROC_TLS__PASSWORD"),
        (
            {"cert": "locked.pem", "key": "locked.key", "password": "s3cret-wrong"},
            "or tls.password does not open it",
        ),
    ],
)
def test_files_that_cannot_be_used_are_told_in_one_sentence(
    given: dict, words: str, files, tmp_path
):
    """It names the file, never the password, and nobody is asked at the terminal."""
    for name, one in zip("ab", files, strict=True):
        one.copy_to(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    files[0].copy_to(tmp_path / "locked.pem", tmp_path / "locked.key", PASSWORD)
    paths = {name: tmp_path / given[name] for name in ("cert", "key") if name in given}
    live = LiveTls(TlsConfig(**{**given, **paths}))
    with pytest.raises(BadFile, match=words) as caught:
        live.load()
    assert "s3cret" not in f"{caught.value} {live!r} {live!r}"


def test_an_encrypted_key_is_opened_by_its_password(files, tmp_path: Path):
    """The password is in no repr."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].copy_to(cert, key, PASSWORD)
    config = TlsConfig(cert=cert, key=key, password=PASSWORD)
    LiveTls(config).load()
    assert PASSWORD not in repr(config)


def test_certificate_and_key_may_be_one_file(files, tmp_path: Path):
    """As some tools write them."""
    both = tmp_path / "both.pem"
    both.write_bytes(files[0].cert.read_bytes() + files[0].key.read_bytes())
    live = LiveTls(TlsConfig(cert=both))
    live.load()
    assert presented(live, "localhost", files[0]) == "TLSv1.3"


def test_a_key_without_a_certificate_is_a_mistake():
    """It would encrypt nothing, silently."""
    with pytest.raises(ValidationError, match="give the certificate, --tls-cert, too"):
        TlsConfig(key="key.pem")
