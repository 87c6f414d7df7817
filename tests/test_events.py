"""What happens, and who is told."""

import logging
from dataclasses import FrozenInstanceError

import pytest

from wsproc.events import Connected, JobAccepted, Peer, Readers, label


def test_events_are_frozen():
    """Several readers see one record."""
    event = JobAccepted("process")
    with pytest.raises(FrozenInstanceError):
        event.task = "other"


def test_every_reader_is_told_in_order():
    """Also those behind one that raises, which disturbs nobody and is logged."""
    told = []

    def broken(event):
        raise ValueError("no")

    tell = Readers([lambda event: told.append("a"), broken, told.append])
    logging.getLogger("wsproc.events").disabled = True
    try:
        tell(Connected(Peer()))
    finally:
        logging.getLogger("wsproc.events").disabled = False
    assert told == ["a", Connected(Peer())]


def test_a_label_names_a_secret_and_tells_nothing_of_it():
    """The same secret has the same label; eight hexadecimal digits lead back to nothing."""
    assert label("secret") == label("secret") != label("other")
    assert len(label("secret")) == 8
    assert int(label("secret"), 16) >= 0
