"""What is made of js/src and the schema is in the repository, and is what would be made now."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from tests.web.node import JS, node, run, tool

ROOT = JS.parent
ONLY_NEWER = "asyncapi-latest-version"
"""3.0 is what the tools of the field read today; that there is a 3.1 is no fault."""


async def test_what_is_made_is_fresh():
    """The frames' types, wsproc.js and wsproc.d.ts; `make js` makes them again."""
    tool("tsc")
    await node("scripts/build.mjs", "--check")


async def test_the_types_say_what_may_be_written_and_what_may_not():
    """test/types/usage.ts compiles, and each line in it that must not does not."""
    await run(tool("tsc"), "-p", JS / "test" / "types")


async def test_sources_and_tests_are_clean():
    """Format and lint."""
    await run(tool("biome"), "ci", ".")


async def test_the_asyncapi_parser_finds_nothing_to_mend():
    """No error and no warning in docs/asyncapi.yaml."""
    tool("tsc")
    said = await node("scripts/asyncapi.mjs")
    assert [line for line in said.splitlines() if ONLY_NEWER not in line] == []


def test_the_version_is_the_servers():
    """The client is released with the server that serves it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package = json.loads(Path(JS / "package.json").read_text(encoding="utf-8"))
    assert (package["name"], package["version"]) == (project["name"], project["version"])
