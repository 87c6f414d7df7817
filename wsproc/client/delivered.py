"""What a reader was already given of a job that has to be run a second time. Pure.

Such a job has the same results, but not the same frames: stages interleave anew, tokens are cut
differently, numbers begin at 1. So frames are told apart by what they say, not by their `seq`.
"""

from __future__ import annotations

from collections import Counter

from wsproc.frames.server import (
    Completed,
    CustomStatus,
    JobFrame,
    SentimentProgress,
    Snapshot,
    Status,
    SummarizationProgress,
    Token,
)

DIFFERENT = "its text came out differently the second time"

_OF_ONE_RUN = {"id", "seq", "replay"}
"""Fields in which the same event differs between two runs."""


class Diverged(Exception):
    """The second run says something else than the first: what was given cannot be continued."""


class Delivered:
    """Notes what was handed out; after `rewind` tells what of the next run is new."""

    def __init__(self) -> None:
        self.text = ""
        """The tokens that were handed out, joined."""
        self._seen: Counter[str] = Counter()
        self._summary = 0
        self._to_skip: Counter[str] = Counter()
        self._first_text = ""
        self._text_to_skip = ""
        self._summary_to_skip = 0

    def note(self, frame: JobFrame) -> None:
        """Remember a frame that is being handed out."""
        if isinstance(frame, Token):
            self.text += frame.text
        elif isinstance(frame, SummarizationProgress):
            self._summary = len(frame.partial_summary)
        elif isinstance(frame, Status):
            self._seen[_key(frame)] += 1

    def cover(self, text: str) -> None:
        """Count a whole text as handed out: a snapshot stood for its tokens."""
        self.text = text

    def rewind(self) -> None:
        """Begin another run: what was noted so far is going to come again."""
        self._to_skip = self._seen.copy()
        self._first_text = self._text_to_skip = self.text
        self._summary_to_skip = self._summary

    def fresh(self, frame: JobFrame) -> JobFrame | None:
        """Return what of a frame was not handed out in an earlier run; None if nothing.

        Raises `Diverged` where the run does not continue the text that was handed out.
        """
        if isinstance(frame, Token):
            return self._rest(frame)
        if isinstance(frame, SummarizationProgress):
            return frame if len(frame.partial_summary) > self._summary_to_skip else None
        whole = text_so_far(frame)
        if whole is not None:
            self._match(whole, final=isinstance(frame, Completed))
            return frame
        if isinstance(frame, Status) and self._to_skip[_key(frame)]:
            self._to_skip[_key(frame)] -= 1
            return None
        return frame

    def _match(self, whole: str, *, final: bool) -> None:
        told = self._first_text
        both = min(len(told), len(whole))
        if told[:both] != whole[:both] or (final and len(whole) < len(told)):
            raise Diverged(DIFFERENT)
        self._text_to_skip = told[both:]

    def _rest(self, token: Token) -> Token | None:
        due = self._text_to_skip
        if not due:
            return token
        both = min(len(due), len(token.text))
        if due[:both] != token.text[:both]:
            raise Diverged(DIFFERENT)
        self._text_to_skip = due[both:]
        rest = token.text[both:]
        return token.model_copy(update={"text": rest}) if rest else None


def text_so_far(frame: JobFrame) -> str | None:
    """Return the whole text up to here, of a snapshot or an end that holds one."""
    match frame:
        case Completed(result=held) | Snapshot(partial_result=held):
            text = held.get("text")
            return text if isinstance(text, str) else None
        case _:
            return None


def _key(frame: Status) -> str:
    """Name what a status says: its kind, and what it is about where there are several."""
    if isinstance(frame, SentimentProgress):
        return f"{frame.status} {frame.current_item}"
    if isinstance(frame, CustomStatus):
        return f"{frame.status} {hash(frame.model_dump_json(exclude=_OF_ONE_RUN))}"
    return frame.status
