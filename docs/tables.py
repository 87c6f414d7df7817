"""Writes the tables of operations.md from the code: `python docs/tables.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, cast

from prometheus_client.parser import text_string_to_metric_families

from wsproc.admission import Admission
from wsproc.config import ServeConfig
from wsproc.engine import Engine, WorkerState
from wsproc.engine.tally import StageTally
from wsproc.events import (
    Answered,
    Connected,
    Disconnected,
    Event,
    FrameRefused,
    HandshakeRefused,
    JobAccepted,
    JobEnded,
    JobRejected,
    Peer,
    PeerStalled,
    ResumeAnswered,
    WorkerProbed,
)
from wsproc.lobby import Lobby
from wsproc.logs import Logs
from wsproc.observe import Metrics
from wsproc.replay import ReplayBudget
from wsproc.sessions import Sessions
from wsproc.setting import Declared, declared

PAGE = Path(__file__).with_name("operations.md")

PEER = Peer()
EVENTS: tuple[Event, ...] = (
    Connected(PEER),
    Disconnected(PEER, 1000, "", 1.0, 1, 1),
    HandshakeRefused(PEER, 4403, ""),
    PeerStalled(PEER),
    ResumeAnswered("ok", ""),
    Answered(PEER, "/process-stream", 200, 0.1),
    FrameRefused("bad_json"),
    JobRejected("queue_full"),
    JobAccepted("process"),
    JobEnded("", "", "process", "completed", 1, 1, 0.1, 0.1, stop_s=0.1, usage={"chunks": 1}),
    WorkerProbed("device", 0.1),
    WorkerProbed("device", 0.1, "no"),
)
"""Something of all that is counted, so that every figure shows its labels."""


class Counted:
    """What the metrics read of an engine, of logs and of a lobby."""

    tally: ClassVar = {"sentiment": StageTally()}
    dropped = 0
    budget = ReplayBudget()
    sessions: ClassVar = Sessions[None]("epoch", 0)
    unsent_bytes = 0
    workers: ClassVar = {"device": WorkerState(True, 0, 0)}


def settings() -> Iterator[str]:
    """Yield the table of the settings."""
    yield "| setting | flag | default | |"
    yield "|-|-|-|-|"
    for one in declared(ServeConfig):
        key, flag = ".".join(one.key), f"`{one.flag}`" if one.flag else ""
        yield f"| `{key}` | {flag} | {_default(one)} | {one.setting.help} |"


def _default(one: Declared) -> str:
    if one.default is None:
        return one.setting.unset
    if one.kind is bool:
        return "on" if one.default else "off"
    if one.table or one.many:
        return "embedded" if one.default else "none"
    return f"`{one.default}`"


def metrics() -> Iterator[str]:
    """Yield the table of the figures."""
    yield "| figure | kind | labels | |"
    yield "|-|-|-|-|"
    text = metrics_text()
    for family in sorted(text_string_to_metric_families(text), key=lambda one: one.name):
        if not family.name.startswith("wsproc_") or family.name.endswith("_created"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = dict.fromkeys(name for one in family.samples for name in one.labels)
        shown = ", ".join(f"`{label}`" for label in labels if label != "le")
        yield f"| `{name}` | {family.type} | {shown} | {family.documentation} |"


def metrics_text() -> str:
    """Return what `/metrics` answers once all that is counted has happened."""
    figures = Metrics(Admission(1), cast("Engine", Counted()))
    figures.count_lost_lines(cast("Logs", Counted()))
    figures.count_sessions(cast("Lobby", Counted()))
    for event in EVENTS:
        figures(event)
    return figures.text().decode()


def written(page: str) -> str:
    """Return the page with its tables as they ought to be."""
    for name, lines in (("settings", settings()), ("metrics", metrics())):
        page = _with(page, name, lines)
    return page


def _with(page: str, name: str, lines: Iterable[str]) -> str:
    begin, end = f"<!-- {name}: docs/tables.py -->", f"<!-- end of {name} -->"
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    table = "\n".join([begin, *lines, end])
    changed, count = re.subn(pattern, lambda _: table, page, flags=re.DOTALL)
    assert count == 1, f"the page has {count} tables of {name}"
    return changed


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
