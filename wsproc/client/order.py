"""That a job's frames come in order: each the next, each once, over all connections. Pure."""

from __future__ import annotations

from wsproc.client.errors import ProtocolError
from wsproc.frames.server import Done, JobFrame, Snapshot


class Order:
    """The numbers of one job's frames; `last` is that of the last one that was taken."""

    def __init__(self, last: int) -> None:
        self.last = last
        self._gap_allowed = False
        self._end_again = False

    def allow_gap(self) -> None:
        """Expect a snapshot, or the end, that stands for frames which cannot be had any more."""
        self._gap_allowed = True

    def attach(self, last: int) -> None:
        """Go on behind `last` of a job that the server has already.

        One that has ended sends its end once more, under the number that it had.
        """
        self.last = last
        self._end_again = True

    def restart(self, last: int = 0) -> None:
        """Count from the beginning: the job is run again."""
        self.last = last
        self._gap_allowed = self._end_again = False

    def take(self, frame: JobFrame) -> bool:
        """Take the next frame; return False for a replayed one that is known already.

        Raises `ProtocolError` where a frame is missing or doubled.
        """
        due, got = self.last + 1, frame.seq
        if self._end_again and isinstance(frame, Done) and got == self.last:
            return True
        if got < due and frame.replay:
            return False
        stands_for_others = self._gap_allowed and isinstance(frame, Done | Snapshot)
        if got != due and not (got > due and stands_for_others):
            raise ProtocolError(f"job {frame.id!r}: frame {due} was due, frame {got} came")
        self._gap_allowed = False
        self.last = got
        return True
