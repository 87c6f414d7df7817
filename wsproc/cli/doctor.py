"""`wsproc doctor`: what is installed, what it runs on, what is missing and how to get it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Annotated, Any, Literal, TypeAlias

import typer
from rich.table import Table
from rich.text import Text

from wsproc.cli.cards import read_card
from wsproc.cli.flags import DEFAULT_URL, Url
from wsproc.cli.open_files import most_files
from wsproc.cli.terminal import out, printable
from wsproc.engine.models.source import PRESETS, STAGES

State: TypeAlias = Literal["ok", "note", "missing"]

_STYLES: Mapping[State, str] = {"ok": "green", "note": "yellow", "missing": "bold red"}
_NEEDED = ("websockets", "orjson", "pydantic", "torch", "transformers", "spacy", "huggingface-hub")
_EXTRAS = {
    "http": ("fastapi", "the same tasks over plain HTTP (--http-port)"),
    "jwt": ("jwt", "tokens that somebody else signs (JWT)"),
    "otel": ("opentelemetry.sdk", "a span a job (OpenTelemetry)"),
}
_FEW_FILES = 4096
_EXAMINE_S = 120.0
_ASK_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `mend` is what to do about it, in words or as a command."""

    state: State
    about: str
    words: str
    mend: str = ""


def doctor(
    url: Url = DEFAULT_URL,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as one JSON array.")
    ] = False,
) -> None:
    """Look at this installation and machine; exit code 1 where something that is needed is missing.

    Nothing is changed, no model is loaded and nothing is asked over the network but the server.
    """
    findings = [*_installation(), *_machine(_examined()), *_models(), *_extras(), *_around(url)]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _show(findings)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    console = out()
    if not console.is_terminal:
        for one in findings:
            mend = f" ({one.mend})" if one.mend else ""
            console.print(
                f"{one.state:<8}{one.about}: {printable(one.words)}{mend}", soft_wrap=True
            )
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for one in findings:
        words = Text(printable(one.words))
        if one.mend:
            words.append(f"\n{one.mend}", style="dim")
        grid.add_row(Text(one.state, _STYLES[one.state]), Text(one.about, "bold"), words)
    console.print(grid)


# --- the installation -----------------------------------------------------------------------------


def _installation() -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} at {sys.executable}")
    yield Finding("ok", "wsproc", version("wsproc"))
    found = {name: _version(name) for name in _NEEDED}
    present = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    absent = [name for name, number in found.items() if number is None]
    if absent:
        mend = f"{sys.executable} -m pip install --upgrade wsproc"
        yield Finding("missing", "packages", f"not installed: {', '.join(absent)}", mend)
    if present:
        yield Finding("ok", "packages", present)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


# --- the machine ----------------------------------------------------------------------------------


def _examined() -> Mapping[str, Any] | str:
    """Return what torch sees here, or why it cannot be asked."""
    command = [sys.executable, "-m", "wsproc.engine.examine"]
    try:
        run = subprocess.run(  # noqa: S603 # the command is our own module
            command, capture_output=True, text=True, timeout=_EXAMINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"importing torch took longer than {_EXAMINE_S:.0f} s"
    if run.returncode:
        return (run.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    found: Mapping[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def _machine(seen: Mapping[str, Any] | str) -> Iterator[Finding]:
    if isinstance(seen, str):
        mend = "install torch again: https://pytorch.org/get-started/locally"
        yield Finding("missing", "torch", f"cannot be used: {seen}", mend)
        return
    for device in seen["devices"]:
        yield Finding("ok", "device", _device_words(device))
    if not seen["devices"]:
        yield _no_accelerator(seen)
    fast = [name for name in ("int8", "bfloat16") if seen[name]]
    words = f"{seen['cores']} cores, fast in {' and '.join(['float32', *fast])}"
    yield Finding("ok", "processor", words)
    yield _memory(seen["memory"])


def _device_words(device: Mapping[str, Any]) -> str:
    if "memory" not in device:
        return f"{device['device']}: {device['name']}"
    free, whole = device["free"] / 2**30, device["memory"] / 2**30
    return f"{device['device']}: {device['name']}, {free:.1f} of {whole:.1f} GiB free"


def _no_accelerator(seen: Mapping[str, Any]) -> Finding:
    if not os.path.exists("/dev/nvidiactl"):
        return Finding("ok", "device", "cpu; no GPU here")
    words = "cpu; there is an NVIDIA card here that torch does not use"
    if seen["cuda_build"] is None:
        mend = "this torch is built for CPUs alone; install one with CUDA"
    else:
        mend = "look at nvidia-smi: is the driver running, and may this user or container see it?"
    return Finding("note", "device", words, mend)


def _memory(available: int) -> Finding:
    words = f"{available / 2**30:.1f} GiB available"
    if available < 3 * 2**30:
        mend = "the embedded models take about 3 GiB; leave out stages with --generation none, ..."
        return Finding("note", "memory", words, mend)
    return Finding("ok", "memory", words)


# --- models ---------------------------------------------------------------------------------------


def _models() -> Iterator[Finding]:
    for stage in STAGES:
        card = read_card(stage)
        if card is None:
            mend = "the package is not whole; install it again"
            yield Finding("missing", f"{stage} model", "no embedded weights", mend)
        else:
            yield Finding("ok", f"{stage} model", f"embedded, {card.size / 1e6:.1f} MB")
    cached = {stage: _is_here(stage, name) for stage, name in PRESETS["hub"].items()}
    here = [PRESETS["hub"][stage] for stage, there in cached.items() if there]
    absent = [PRESETS["hub"][stage] for stage, there in cached.items() if not there]
    if here:
        yield Finding("ok", "hub models", f"on this machine: {', '.join(here)}")
    if absent:
        mend = "--models hub downloads them at its first start; spaCy's: python -m spacy download"
        yield Finding("note", "hub models", f"not on this machine: {', '.join(absent)}", mend)


def _is_here(stage: str, name: str) -> bool:
    """Whether a well-known model needs no download."""
    if stage == "entities":
        return find_spec(name) is not None
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)


def _extras() -> Iterator[Finding]:
    for extra, (module, use) in _EXTRAS.items():
        if _importable(module):
            yield Finding("ok", f"extra {extra}", use)
        else:
            mend = f"{sys.executable} -m pip install 'wsproc[{extra}]'"
            yield Finding("note", f"extra {extra}", f"not installed: {use}", mend)


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


# --- around it ------------------------------------------------------------------------------------


def _around(url: str) -> Iterator[Finding]:
    yield _open_files()
    yield _server(url)


def _open_files() -> Finding:
    """Look at the limit that a server can raise its own to, which it does by itself."""
    most = most_files()
    if most is None:
        return Finding("ok", "open files", "no limit")
    words = f"{most} may be open at once, one a connection"
    if most < _FEW_FILES:
        mend = "raise the hard limit: ulimit -Hn 65536 as root, LimitNOFILE= for systemd"
        return Finding("note", "open files", words, mend)
    return Finding("ok", "open files", words)


def _server(url: str) -> Finding:
    """Ask whether a server answers; none is no defect."""
    address = "http" + url.removeprefix("ws").rstrip("/") + "/readyz"
    try:
        words = _asked(address)
    except urllib.error.HTTPError as error:
        said = error.read(200).decode(errors="replace").strip()
        return Finding("note", "server", f"{url} is not ready: {error.code} {said}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        words = getattr(reason, "strerror", None) or str(reason)
        return Finding("note", "server", f"none at {url}: {words}", "start one: wsproc serve")
    return Finding("ok", "server", f"{url} says: {words.strip()}")


def _asked(address: str) -> str:
    if not address.startswith(("http://", "https://")):
        raise ValueError("write it as ws://HOST:PORT")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=_ASK_S) as answer:
        said: bytes = answer.read(200)
        return said.decode(errors="replace")


__all__ = ["Finding", "doctor"]
