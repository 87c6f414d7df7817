"""What a server offers to every session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wsproc.events import Reader, nobody
from wsproc.frames.client import Submit
from wsproc.frames.server import Limits


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers to every session: its tasks, its loaded stages, its limits."""

    version: str
    epoch: str
    tasks: Mapping[str, type[Submit]]
    limits: Limits
    heartbeat_s: float
    unavailable: Callable[[str], str | None] = lambda stage: None
    """Says in words why a stage cannot be used now; None where it can."""
    tell: Reader = nobody
    """Is told of what happens."""
    resume_s: float = 30.0
    """How long the jobs of a lost client wait for its return."""
    result_ttl_s: float = 300.0
    """How long the frames of an ended job are kept."""
