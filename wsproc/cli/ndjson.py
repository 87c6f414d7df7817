"""`--json`: the server's messages on stdout, as they came, one a line."""

from __future__ import annotations

import sys
from collections import deque

from wsproc.client import Ended, Job


class Tape:
    """Takes messages from the connection's reader and prints them from the command's own task.

    A reader of stdout that went away is thereby the command's error and not the connection's.
    """

    def __init__(self) -> None:
        self._messages: deque[str] = deque()

    def record(self, message: str) -> None:
        """Take a message."""
        self._messages.append(message)

    def flush(self) -> None:
        """Print what was taken since the last time."""
        while self._messages:
            sys.stdout.write(self._messages.popleft() + "\n")
        sys.stdout.flush()

    async def follow(self, job: Job) -> Ended:
        """Print while a job goes on, and return its end."""
        async for _ in job:
            self.flush()
        return await job.wait()
