"""Node and what the project keeps in js/node_modules, for tests."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

JS = Path(__file__).parents[2] / "js"


async def run(*command: str | Path, cwd: Path = JS, **environment: str) -> str:
    """Run a program, fail the test with what it printed if it fails, and return that."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def node(*arguments: str | Path, cwd: Path = JS, **environment: str) -> str:
    """Run node in js/."""
    return await run(found("node"), *arguments, cwd=cwd, **environment)


def tool(name: str) -> Path:
    """Return a command that is installed in js/."""
    path = JS / "node_modules" / ".bin" / name
    if not path.exists():
        pytest.fail("js/node_modules is missing: `make test` installs it")
    return path


def found(name: str) -> str:
    """Return the path of a program of this machine."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} (of Node 20 or newer) is missing")
    return path
