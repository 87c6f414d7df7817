"""SECURITY.md names a test for each defence: they are there."""

import re
import textwrap
from pathlib import Path

import pytest

from wsproc.auth.config import AuthConfig
from wsproc.config import ServeConfig
from wsproc.sources import from_toml, load

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`((?:tests|wsproc)/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_what_shows_a_defence_exists(file: str, name: str):
    """The file, and the test in it where one is named."""
    source = (ROOT / file).read_text(encoding="utf-8")
    assert not name or f"def {name}(" in source


def test_the_settings_that_it_shows_are_settings():
    """The example is a file that a server takes."""
    start = DOCUMENT.index("    [auth.tokens]")
    block = re.match(r"(?:    .*\n|\n)+", DOCUMENT[start:])
    assert block is not None
    text = textwrap.dedent(block[0])
    auth = load(ServeConfig, from_toml(text, "SECURITY.md")).config.auth
    assert isinstance(auth, AuthConfig)
    assert auth.asked
    assert auth.may_submit("mallory") == frozenset()
    assert auth.may_submit("alice") == {"process", "batch"}
