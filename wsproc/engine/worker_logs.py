"""A worker's log lines, which its pool writes: so they have one form, and nobody waits for stderr.

Exceptions are told without what they may quote; their whole messages follow on the level DEBUG,
for a pool that was asked to show that.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import TracebackType

from wsproc.engine.messages import Logged
from wsproc.engine.tracebacks import describe


class LogSender(logging.Handler):
    """Sends what is logged with `send`, which may be called from any thread."""

    def __init__(self, send: Callable[[Logged], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; what is wrong with it is the handler's to tell, as with all handlers."""
        try:
            text = record.getMessage()
            error = record.exc_info[1] if record.exc_info else None
            shown = "" if error is None else describe(error)
            self._send(Logged(record.levelno, record.name, text, shown))
            if error is not None:
                whole = describe(error, quoting=True)
                self._send(Logged(logging.DEBUG, record.name, text, whole))
        except Exception:
            self.handleError(record)


def send_logs(send: Callable[[Logged], None]) -> None:
    """Send all that this process logs, warnings and worse, and what ends it."""
    logging.basicConfig(level=logging.WARNING, handlers=[LogSender(send)])
    sys.excepthook = _log_what_ends_us


def write(line: Logged, worker: str) -> None:
    """Log a line of a worker here, with its name."""
    logger = logging.getLogger(line.logger)
    if not logger.isEnabledFor(line.level):
        return
    told = {"worker": worker} | ({"exception": line.exception} if line.exception else {})
    record = logger.makeRecord(
        line.logger, line.level, worker, 0, line.text, (), None, extra=dict(told)
    )
    record.exc_text = line.exception or None  # for those who format lines in the usual way
    logger.handle(record)


def _log_what_ends_us(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    logging.getLogger("wsproc.engine").critical("the worker ends", exc_info=error)
