"""A session: one client's jobs, which outlive its connection. Pure.

`session.py` is what the shell talks to: it takes what comes in. It stands on `delivery.py`, which
sends, keeps, and sends again. Beside them is a room for each kind of decision: what is taken
(`submits.py`), how input goes on (`feeds.py`), how a job ends (`endings.py`), how a bad frame is
answered (`answers.py`), what a client that comes back is sent (`resume.py`), and how things stand
(`book.py`, `snapshots.py`).
"""

from wsproc.session.actions import Action, Close, Feed, JobAction, Start, Stop, TakeUp
from wsproc.session.endings import Ending
from wsproc.session.offer import Offer
from wsproc.session.session import Session

__all__ = [
    "Action",
    "Close",
    "Ending",
    "Feed",
    "JobAction",
    "Offer",
    "Session",
    "Start",
    "Stop",
    "TakeUp",
]
