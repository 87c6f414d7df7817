"""The settings of who may come in."""

import pytest
from pydantic import SecretStr, ValidationError

from wsproc.auth.config import AuthConfig
from wsproc.cli.print_config import as_toml
from wsproc.config import ServeConfig, ServerConfig
from wsproc.sources import ConfigError, from_environment, from_toml, load

TOML = """
[auth]
token_file = "tokens"

[auth.tokens]
alice = "s3cret-one"
bob = ["s3cret-two", "s3cret-three"]

[auth.tasks]
"*" = ["process"]
bob = []

[tls]
cert = "cert.pem"
password = "s3cret-four"
"""


def test_no_token_is_asked_for_by_default():
    """With any of the three sources it is."""
    assert not AuthConfig().asked
    for given in ({"tokens": {"a": "t"}}, {"token_file": "f"}, {"jwks_file": "f"}):
        assert AuthConfig(**given).asked


def test_one_token_or_several():
    """Written as a text or as a list."""
    config = AuthConfig(tokens={"alice": "one", "bob": ["two", "three"]})
    assert config.tokens["alice"] == (SecretStr("one"),)
    assert config.tokens["bob"] == (SecretStr("two"), SecretStr("three"))


def test_the_tasks_of_a_principal():
    """Its own, or those of *, or all."""
    config = AuthConfig(tasks={"*": ["process"], "bob": []})
    assert config.may_submit("alice") == {"process"}
    assert config.may_submit("bob") == frozenset()
    assert AuthConfig(tasks={"bob": ["batch"]}).may_submit("alice") is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tokens": {"alice": "s3cret two"}}, "the token of 'alice' cannot be sent in a header"),
        ({"tokens": {"alice": 5}}, "alice"),
        ({"tokens": {"alice": "s3cret", "bob": "s3cret"}}, "have the same token"),
        ({"jwt_audience": "wsproc"}, "do nothing without jwks_file"),
        ({"tasks": {"": ["process"]}}, "is no name"),
        ({"jwt_leeway_s": -1}, "give 0 to 600"),
        ({"tokem_file": "s3cret"}, "tokem_file"),
    ],
)
def test_mistakes_are_told_without_the_secret(given: dict, words: str):
    """In code too, whether they are made here or in a server's settings."""
    for build in (lambda: AuthConfig(**given), lambda: ServerConfig(auth=given)):
        with pytest.raises(ValidationError, match=words) as caught:
            build()
        assert "s3cret" not in str(caught.value)


def test_secrets_come_from_the_file_and_are_not_printed():
    """`--print-config` says that there are some, and where from."""
    loaded = load(ServeConfig, from_toml(TOML, "wsproc.toml"))
    assert loaded.config.auth.tokens["bob"][1].get_secret_value() == "s3cret-three"
    printed = as_toml(loaded)
    assert "s3cret" not in f"{printed} {loaded.config!r}"
    assert "wsproc.toml" in printed


def test_secrets_come_from_the_environment():
    """So none has to stand on a command line, where other users can read it."""
    variables = {
        "WSPROC_AUTH__TOKENS__ALICE": "s3cret-one",
        "WSPROC_AUTH__METRICS_TOKEN": "s3cret-two",
        "WSPROC_TLS__CERT": "cert.pem",
        "WSPROC_TLS__PASSWORD": "s3cret-three",
    }
    config = load(ServeConfig, from_environment(variables, ServeConfig)).config
    assert config.auth.tokens == {"alice": (SecretStr("s3cret-one"),)}
    assert config.auth.metrics_token == SecretStr("s3cret-two")
    assert config.tls.password == SecretStr("s3cret-three")


@pytest.mark.parametrize(
    "text",
    [
        '[auth.tokens]\nalice = "s3cret one"',
        '[auth.tokens]\nalice = "s3cret"\nbob = "s3cret"',
        '[auth.tokens]\nalice = [["s3cret"]]',
        "[auth.tokens]\nalice = 53\n",
        '[auth]\ntokens = "s3cret"',
        '[auth]\nmetrics_token = ["s3cret"]',
        '[tls]\npassword = "s3cret"',
    ],
)
def test_a_mistake_in_the_file_does_not_tell_the_secret(text: str):
    """It is one sentence that names the place."""
    with pytest.raises(ConfigError) as caught:
        load(ServeConfig, from_toml(text, "wsproc.toml"))
    assert "s3cret" not in str(caught.value)
    assert "53" not in str(caught.value)
    assert str(caught.value).startswith("wsproc.toml: ")
