"""What a client tells of its connection while it goes on by itself, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from wsproc.client.errors import WsprocError

Phase: TypeAlias = Literal["connecting", "open", "draining", "reconnecting", "closed"]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """Where a client's connection stands.

    - `connecting`: the first connection is being made.
    - `open`: it stands. After a loss `resumed` says whether the session was taken up again (True)
      or is a new one (False).
    - `draining`: the server announced that it will close; running jobs may still end.
    - `reconnecting`: it was lost, `cause` says how; try number `tries` begins in `delay_s` seconds.
    - `closed`: it is over, for `cause`, or by `close` where there is none.
    """

    phase: Phase
    tries: int = 0
    delay_s: float | None = None
    resumed: bool | None = None
    cause: WsprocError | None = None
