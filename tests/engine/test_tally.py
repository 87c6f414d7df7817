"""What steps were made of, added up."""

from wsproc.engine.tally import BOUNDS_S, StageTally, Tally


def test_reports_add_up_by_stage():
    """Of several workers, in any order."""
    tally = Tally()
    tally.add({"sentiment": StageTally(1, 0.5, 8, 100, 10), "summary": StageTally(1, 0.1, 1)})
    tally.add({"sentiment": StageTally(2, 0.25, 4, 50, 5)})
    assert tally.stages == {
        "sentiment": StageTally(3, 0.75, 12, 150, 15),
        "summary": StageTally(1, 0.1, 1, 0, 0),
    }


def test_what_was_taken_is_not_told_again():
    """Each step is in one report; what is added later does not change one that was taken."""
    tally = Tally()
    tally.add({"sentiment": StageTally(1)})
    taken = tally.take()
    tally.add({"sentiment": StageTally(5)})
    assert taken == {"sentiment": StageTally(1)}
    assert tally.take() == {"sentiment": StageTally(5)}
    assert tally.take() == {}


def test_a_report_is_not_kept_as_it_came():
    """Adding to the sum does not change what a worker sent."""
    sent = {"sentiment": StageTally(1)}
    tally = Tally()
    tally.add(sent)
    tally.add(sent)
    assert sent == {"sentiment": StageTally(1)}


def test_steps_are_counted_by_their_seconds():
    """Up to each bound, the bound included, and beyond the last."""
    tally = StageTally()
    for seconds in (0.0, 0.001, 0.0011, 10.0, 11.0):
        tally.add(StageTally.of_step(seconds, rows=2, room=4, tokens=3, padding=1))
    assert tally.lasted == [2, 1, *[0] * (len(BOUNDS_S) - 3), 1, 1]
    assert (tally.steps, tally.rows, tally.room) == (5, 10, 20)
    assert (tally.tokens, tally.padding) == (15, 5)
    assert StageTally(*tally.as_row()) == tally
