"""The documentation: its code runs as written, and its pages name nothing that is not there."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from tests.wire import connected
from wsproc.config import ServerConfig
from wsproc.engine import EngineConfig
from wsproc.engine.models.source import OFF, STAGES
from wsproc.server import Server
from wsproc.tasks import default_registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _named_block(page: str, name: str) -> str:
    """Return the block of a page that begins with the name of its file."""
    blocks = _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    (block,) = (block for block in blocks if block.startswith(f"# {name}\n"))
    return block


async def test_a_stage_and_a_task_of_ones_own_work_as_the_page_on_models_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files as they stand there, served by a real worker, and called by a client."""
    for name in ("shouting.py", "tasks_of_mine.py"):
        (tmp_path / name).write_text(_named_block("models.md", name), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = default_registry()
    importlib.import_module("tasks_of_mine").register(registry)
    engine = EngineConfig(
        models=dict.fromkeys(STAGES, OFF), own_stages={"shouting": "shouting:build"}
    )
    try:
        server = Server(ServerConfig(port=0, engine=engine), registry=registry)
        async with server, connected(server) as wire:
            await wire.send(type="shout", text="hello")
            done = await wire.next("done")
    finally:
        sys.modules.pop("tasks_of_mine", None)
    assert done["result"] == {"text": "HELLO"}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pages_use_flags_that_there_are(page: Path) -> None:
    """Each `--flag` behind `wsproc` in a page is one of some command."""
    text = page.read_text(encoding="utf-8")
    used = {
        flag
        for line in text.splitlines()
        if re.search(r"\bwsproc (serve|run|generate|bench|doctor|token|models|schema)\b", line)
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)
    }
    assert used <= _flags()


def _flags() -> set[str]:
    import typer

    from wsproc.cli import app

    group = typer.main.get_command(app)
    return {
        name
        for command in group.commands.values()
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help", "--install-completion"}
