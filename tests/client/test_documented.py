"""What docstrings and pages show is run, and prints what they say it prints."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import wsproc
import wsproc.client
from tests.fakes import FakeEngine, fake_server, plausible
from wsproc.client import errors
from wsproc.client.loop_thread import LoopThread

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python-client.md"
TEXT = "Ada had a lovely day. The train home was slow and awful. It rained for hours."


def in_pages() -> Iterator[tuple[str, str]]:
    """The Python blocks of the client's page, and those of other pages that connect."""
    for page in (PAGE, ROOT / "README.md", ROOT / "docs" / "quickstart.md"):
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for number, block in enumerate(blocks, 1):
            if page is PAGE or "wsproc.connect" in block:
                yield f"{page.name} {number}", block


def in_docstrings() -> Iterator[tuple[str, str]]:
    """The indented blocks of every docstring of the client, modules and methods included."""
    for module in pkgutil.iter_modules(wsproc.client.__path__, "wsproc.client."):
        home = importlib.import_module(module.name)
        for name, thing in {"": home, **vars(home)}.items():
            if name and getattr(thing, "__module__", None) != module.name:
                continue
            members = vars(thing).items() if inspect.isclass(thing) else ()
            for member, one in [("", thing), *members]:
                for block in indented(getattr(one, "__doc__", None)):
                    yield ".".join(filter(None, (module.name, name, member))), block


def indented(docstring: Any) -> list[str]:
    """The code blocks of a docstring: what stands four spaces in, behind an empty line."""
    if not isinstance(docstring, str):
        return []
    first, _, rest = docstring.partition("\n")
    margin = " " * len(rest.rpartition("\n")[2])  # the last line holds the closing quotes alone
    text = "\n".join([first, *(line.removeprefix(margin) for line in rest.split("\n"))])
    blocks = re.findall(r"(?:^|\n)\n((?:    .*\n|\n)+)", text + "\n")
    return [textwrap.dedent(block) for block in blocks]


EXAMPLES = [*in_pages(), *in_docstrings()]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """One server for all examples."""
    thread = LoopThread()

    async def start() -> Any:
        server = fake_server(FakeEngine(answers=plausible))
        await server.start()
        return server

    server = thread.call(start())
    yield server.url
    thread.call(server.close())
    thread.stop()


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_runs_and_prints_what_it_says(name, example, address, capsys):
    """A comment behind a `print` is the line, or the beginning of one, that comes of it."""
    with what_it_may_use(address) as names:
        run(compiled(name, localized(example, address)), names, address)
    printed = capsys.readouterr().out
    for line in re.findall(r"print\(.*\)  # (.+)", example):
        found = re.search(rf"^{re.escape(line)}$", printed, re.MULTILINE)
        assert found, f"{line!r} was not printed, but:\n{printed}"


def localized(example: str, address: str) -> str:
    """Point an example to the server of the tests."""
    example = example.replace('"ws://127.0.0.1:8765/"', f'"{address}"')
    example = example.replace('"ws://127.0.0.1:8765"', f'"{address}"')
    return re.sub(r"(\bconnect(?:_sync)?)\(\)", rf'\1("{address}")', example)


def compiled(name: str, example: str) -> CodeType:
    """Compile an example, which may `await` at its top."""
    code = compile(example, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    return code


@contextmanager
def what_it_may_use(address: str) -> Iterator[dict[str, Any]]:
    """The names that examples take for granted."""
    yield {"wsproc": wsproc, "connect": wsproc.connect, "text": TEXT, "texts": [TEXT, TEXT]}


def run(code: CodeType, names: dict[str, Any], address: str) -> None:
    """Run an example: with an open client where it awaits, with a blocking one otherwise."""
    if not code.co_flags & inspect.CO_COROUTINE:
        with wsproc.connect_sync(address) as client:
            names |= {"client": client, "job": client.process(TEXT, include_summary=False)}
            names["result"] = names["job"].result()
            exec(code, names)
        return

    async def main() -> None:
        async with wsproc.connect(address) as client:
            names["client"] = client
            names["result"] = await client.process(TEXT).result()
            await eval(code, names)

    asyncio.run(main())


def test_the_docstrings_have_examples():
    """The reader of the examples finds them: no docstring of the first line of use lacks one."""
    named = {name for name, _ in EXAMPLES}
    assert named >= {
        "wsproc.client.blocking",
        "wsproc.client.client.connect",
        "wsproc.client.mapping.Results",
        "wsproc.client.job.Job",
        "wsproc.client.results",
        "wsproc.client.submission.Submission",
        "wsproc.client.tasks.Tasks.process",
        "wsproc.client.tasks.Tasks.batch",
        "wsproc.client.tasks.Tasks.generate",
        "wsproc.client.tasks.Tasks.map",
    }


def test_the_page_draws_the_tree_of_errors_as_it_is():
    """The page's tree is that of the code, whose tree is that of the classes."""
    assert errors.__doc__ is not None
    tree = re.search(r"WsprocError\n(?:[├└│ ].*\n)+", errors.__doc__)
    assert tree is not None
    assert textwrap.indent(tree[0], "    ") in PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"── (\w+)", tree[0]):
        assert issubclass(getattr(errors, name), errors.WsprocError)
