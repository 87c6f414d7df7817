"""The npm package, packed and installed into an empty folder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes import FakeEngine, plausible, serving
from tests.web.node import JS, found, node, run, tool

PROGRAM = """
import { connect } from "wsproc";
import { WebSocket } from "ws";

const client = await connect(process.env.WSPROC_URL, { WebSocket });
const text = "Ada had a lovely day, she said.";
const job = client.process({ text, include_entities: true });
const result = await job.result;
const [{ start, end }] = result.entities.entities;
console.log(JSON.stringify([client.welcome.server, text.slice(start, end)]));
await client.close();
"""
TYPED = """
import { connect, type ProcessResult } from "wsproc";

export async function run(): Promise<ProcessResult> {
  return (await connect("ws://127.0.0.1:8765")).process({ text: "long enough" }).result;
}
"""


async def test_the_package_runs_from_an_empty_folder(tmp_path: Path):
    """It has the client, its types, a readme and the licence, and needs nothing else."""
    npm = found("npm")
    packed = json.loads(
        await run(npm, "pack", "--json", "--silent", "--pack-destination", tmp_path)
    )
    names = {file["path"] for file in packed[0]["files"]}
    assert names == {"LICENSE", "README.md", "package.json", "wsproc.d.ts", "wsproc.js"}

    tarball = tmp_path / packed[0]["filename"]
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    await run(npm, "install", "--silent", "--offline", "--no-audit", tarball, cwd=tmp_path)
    assert [path.name for path in (tmp_path / "node_modules").glob("[!.]*")] == ["wsproc"]
    (tmp_path / "node_modules" / "ws").symlink_to(JS / "node_modules" / "ws")

    (tmp_path / "program.mjs").write_text(PROGRAM)
    async with serving(FakeEngine(answers=plausible)) as server:
        said = await node("program.mjs", cwd=tmp_path, WSPROC_URL=server.url)
    assert json.loads(said) == [packed[0]["version"], "Ada"]

    (tmp_path / "typed.ts").write_text(TYPED)
    flags = ("--noEmit", "--strict", "--module", "nodenext", "--target", "es2022")
    await run(tool("tsc"), *flags, "typed.ts", cwd=tmp_path)
