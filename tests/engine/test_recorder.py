"""What was on the device, read by one process from what another wrote."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproc.engine.recorder import FlightRecorder


@pytest.fixture
def descriptor():
    """Shared memory for one test."""
    descriptor = FlightRecorder.descriptor()
    yield descriptor
    os.close(descriptor)


def test_new_memory_holds_nothing(descriptor: int):
    """A worker that died before its first step had nothing on its device."""
    recorder = FlightRecorder(descriptor)
    assert recorder.read() == []
    recorder.close()


items = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)), max_size=40)


@given(st.lists(items, min_size=1, max_size=4))
def test_the_last_note_is_read_whatever_was_noted_before(notes: list):
    """A shorter one leaves nothing of a longer one; ids may be as large as they get."""
    descriptor = FlightRecorder.descriptor()
    writer, reader = FlightRecorder(descriptor), FlightRecorder(descriptor)
    os.close(descriptor)
    for note in notes:
        writer.note(iter(note))
        assert reader.read() == note
    writer.note(())
    assert reader.read() == []
    writer.close()
    reader.close()


def test_more_than_fits_is_cut(descriptor: int):
    """It fits 4096 items, more than any step has; beyond them nothing is overwritten."""
    recorder = FlightRecorder(descriptor)
    recorder.note((7, item) for item in range(5000))
    assert recorder.read() == [(7, item) for item in range(4096)]
    recorder.close()


def test_a_note_that_breaks_off_leaves_none(descriptor: int):
    """Rather than items of two notes mixed: a death in the middle of noting blames nobody."""
    recorder = FlightRecorder(descriptor)
    recorder.note([(1, 1), (2, 2)])

    def breaking():
        yield (3, 3)
        raise RuntimeError("as if killed here")

    with pytest.raises(RuntimeError):
        recorder.note(breaking())
    assert recorder.read() == []
    recorder.close()


KILLED = """
import os, signal, sys
from wsproc.engine.recorder import FlightRecorder
FlightRecorder(int(sys.argv[1])).note([(2**40, 3), (5, 0)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_its_note(descriptor: int):
    """The memory outlives it, without a message or a flush."""
    command = [sys.executable, "-c", KILLED, str(descriptor)]
    assert subprocess.run(command, pass_fds=(descriptor,), check=False).returncode == -9
    recorder = FlightRecorder(descriptor)
    assert recorder.read() == [(2**40, 3), (5, 0)]
    recorder.close()
