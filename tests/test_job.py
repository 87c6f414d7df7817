"""The table of a job's life, in full."""

import pytest

from wsproc.frames.client import Process
from wsproc.job import TRANSITIONS, IllegalTransition, Job, JobEvent, JobState


def job(state: JobState = JobState.QUEUED, timeout_ms: int | None = None) -> Job:
    """Return a job in a state, accepted at 100 s."""
    request = Process(text="a text that is long enough", timeout_ms=timeout_ms)
    return Job("a", request, accepted_at=100.0, state=state)


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("event", list(JobEvent))
def test_every_event_in_every_state(state: JobState, event: JobEvent):
    """What the table has moves the job; what it has not raises and leaves it as it was."""
    one = job(state)
    if (state, event) in TRANSITIONS:
        one.apply(event)
        assert one.state is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"job 'a' is {state}: {event} is not possible"):
            one.apply(event)
        assert one.state is state


def test_done_is_the_end():
    """Nothing leads out of done, and every other state leads to it."""
    assert not [state for state, _ in TRANSITIONS if state is JobState.DONE]
    for state in set(JobState) - {JobState.DONE}:
        assert TRANSITIONS[state, JobEvent.END] is JobState.DONE


def test_a_cancelled_job_never_runs():
    """Nothing leads from cancelling back to running."""
    assert (JobState.CANCELLING, JobEvent.BEGIN) not in TRANSITIONS


def test_a_deadline_counts_from_the_acceptance():
    """Queue time is included; no timeout is no deadline."""
    assert job(timeout_ms=1500).deadline == 101.5
    assert job().deadline is None
