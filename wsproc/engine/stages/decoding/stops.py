"""Cutting a growing text at stop strings, however the text happens to be divided into pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Passes text on, except what may still turn out to be the beginning of a stop string.

    The text ends before the stop string that is completed first, the longest one if several end at
    the same character. That does not depend on how the text was divided into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = sorted(stops, key=len, reverse=True)
        self._held = ""
        self.stopped = False

    def push(self, piece: str) -> str:
        """Take the next piece and return the text that is certain now."""
        if self.stopped:
            return ""
        text = self._held + piece
        cut = self._first_cut(text)
        if cut is not None:
            self.stopped, self._held = True, ""
            return text[:cut]
        kept = len(text) - self._overhang(text)
        self._held = text[kept:]
        return text[:kept]

    def flush(self) -> str:
        """Return what was held back, at the end of the text."""
        text, self._held = self._held, ""
        return text

    def _first_cut(self, text: str) -> int | None:
        """Return where the stop string that ends first starts."""
        found = [(text.find(stop), len(stop)) for stop in self._stops]
        ends = [(start + size, start) for start, size in found if start >= 0]
        return min(ends)[1] if ends else None

    def _overhang(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins a stop string."""
        longest = max(map(len, self._stops), default=0) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stops):
                return size
        return 0
