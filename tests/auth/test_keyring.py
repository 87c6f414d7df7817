"""The tokens that a server takes, as its settings and files say."""

import json
import logging
import sys
import time
from pathlib import Path

import pytest

from tests.auth.signer import Signer
from wsproc.auth import Denied, Grant
from wsproc.auth.config import AuthConfig
from wsproc.auth.grant import UNKNOWN
from wsproc.auth.keyring import Keyring
from wsproc.auth.tokens import line_of
from wsproc.files import BadFile
from wsproc.frames.errors import CloseCode

SAFE = "a-token-of-more-than-twenty-characters"


def loaded(**settings) -> Keyring:
    """Return a keyring that has read its files."""
    keyring = Keyring(AuthConfig(**settings))
    keyring.load()
    return keyring


def test_all_kinds_of_tokens_may_be_used_together(tmp_path: Path):
    """Static ones, a file of hashes, and JWTs."""
    signer = Signer("ES256", "k")
    listed, jwks = tmp_path / "tokens", tmp_path / "jwks.json"
    listed.write_text(line_of("bob", "bobs-token"))
    jwks.write_text(json.dumps({"keys": [signer.public]}))
    keyring = loaded(tokens={"alice": SAFE}, token_file=listed, jwks_file=jwks, jwt_leeway_s=0)
    expiry = int(time.time()) + 60
    assert keyring.check(SAFE) == Grant("alice")
    assert keyring.check("bobs-token") == Grant("bob")
    assert keyring.check(signer.sign(sub="carol", exp=expiry)) == Grant("carol", expiry)
    assert keyring.check(signer.sign(sub="carol", exp=expiry - 600)).reason.startswith(
        "the token has expired"
    )
    assert isinstance(keyring.check("other"), Denied)


def test_nothing_opens_before_the_files_are_read():
    """A server that did not start lets nobody in."""
    assert Keyring(AuthConfig(tokens={"alice": SAFE})).check(SAFE) is UNKNOWN


def test_a_file_is_read_again(tmp_path: Path):
    """Who was taken out of it stays outside, who was added comes in."""
    listed = tmp_path / "tokens"
    listed.write_text(line_of("alice", "old"))
    keyring = loaded(token_file=listed)
    listed.write_text(line_of("alice", "new"))
    assert keyring.check("old") == Grant("alice")
    keyring.load()
    assert (keyring.check("old"), keyring.check("new")) == (UNKNOWN, Grant("alice"))


def test_who_came_in_by_a_token_that_is_gone_may_not_stay(tmp_path: Path):
    """A JWT is good until it expires, and where no token is asked for nobody has to go."""
    signer = Signer("ES256", "k")
    listed, jwks = tmp_path / "tokens", tmp_path / "jwks.json"
    listed.write_text(line_of("alice", "old"))
    jwks.write_text(json.dumps({"keys": [signer.public]}))
    keyring = loaded(token_file=listed, jwks_file=jwks)
    by_hash = keyring.check("old")
    by_jwt = keyring.check(signer.sign(sub="bob", exp=int(time.time()) + 86_400))
    assert keyring.stands_by(by_hash)
    listed.write_text(line_of("alice", "new"))
    keyring.load()
    assert (keyring.stands_by(by_hash), keyring.stands_by(by_jwt)) == (False, True)
    assert loaded().stands_by(by_hash)


def test_a_bad_file_keeps_what_was_read_before(tmp_path: Path):
    """All of it: a half-read file would lock half of the people out."""
    listed, jwks = tmp_path / "tokens", tmp_path / "jwks.json"
    listed.write_text(line_of("alice", "old"))
    jwks.write_text(json.dumps({"keys": [Signer("ES256", "k").public]}))
    keyring = loaded(token_file=listed, jwks_file=jwks)
    listed.write_text(line_of("alice", "new"))
    jwks.write_text("{")
    with pytest.raises(BadFile, match=r"auth.jwks_file: .*jwks.json: this is no JSON"):
        keyring.load()
    assert (keyring.check("old"), keyring.check("new")) == (Grant("alice"), UNKNOWN)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "is no text in UTF-8"),
        (b"alice:hunter2\n", "line 1: write it as principal:sha256"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_sentence(content, words: str, tmp_path: Path):
    """With the setting, the file, and nothing of what is in it."""
    listed = tmp_path / "tokens"
    if content is not None:
        listed.write_bytes(content)
    with pytest.raises(BadFile, match=words) as caught:
        loaded(token_file=listed)
    assert str(caught.value).startswith(f"auth.token_file: {listed}")
    assert "hunter2" not in str(caught.value)


def test_without_pyjwt_a_jwks_file_says_what_to_install(tmp_path: Path, monkeypatch):
    """It is an extra."""
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [Signer("ES256", "k").public]}))
    monkeypatch.delitem(sys.modules, "wsproc.auth.signed", raising=False)
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(BadFile, match=r"auth.jwks_file needs jwt, .* pip install 'wsproc\[jwt\]'"):
        loaded(jwks_file=jwks)


def test_weak_secrets_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A short token may be guessed, and whoever can write to the file can come in."""
    listed = tmp_path / "tokens"
    listed.write_text(line_of("bob", SAFE))
    listed.chmod(0o666)
    with caplog.at_level(logging.WARNING, "wsproc.auth"):
        loaded(tokens={"alice": "hunter2"}, token_file=listed)
    assert "the token of 'alice' has less than 20 characters" in caplog.text
    assert "anybody may write to" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_principal_without_tasks_stays_outside():
    """That is how one is shut out whose token is still good."""
    keyring = loaded(tokens={"alice": SAFE, "bob": "bobs-token"}, tasks={"bob": ()})
    denied = keyring.check("bobs-token")
    assert isinstance(denied, Denied)
    assert denied.code is CloseCode.FORBIDDEN
    assert keyring.check(SAFE) == Grant("alice")


@pytest.mark.parametrize(
    ("settings", "token", "may"),
    [
        ({}, None, True),
        ({"tokens": {"alice": SAFE}}, None, False),
        ({"tokens": {"alice": SAFE}}, "wrong", False),
        ({"tokens": {"alice": SAFE}}, SAFE, True),
        ({"tokens": {"alice": SAFE}, "open_metrics": True}, None, True),
        ({"tokens": {"alice": SAFE}, "metrics_token": "own"}, "own", True),
        ({"tokens": {"alice": SAFE}, "metrics_token": "own"}, SAFE, False),
        ({"metrics_token": "own"}, None, False),
        ({"metrics_token": "own"}, "é", False),
        ({"metrics_token": "own"}, "\udcff", False),
        ({"metrics_token": "own", "open_metrics": True}, None, False),
    ],
)
def test_who_may_read_the_metrics(settings: dict, token: str | None, may: bool):
    """Their own token alone where there is one; else whoever may come in, or all if so set."""
    assert isinstance(loaded(**settings).may_read_metrics(token), Grant) is may


def test_reprs_hold_no_secret():
    """Neither of the settings nor of what is made of them."""
    config = AuthConfig(tokens={"alice": ["hunter2"]}, metrics_token="hunter3")
    assert "hunter" not in f"{config!r} {Keyring(config)!r} {loaded(tokens={'alice': 'hunter2'})!r}"
