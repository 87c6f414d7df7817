"""The loop beside the device, with a stage and a link of the test's own and no time passing."""

import logging
from collections.abc import Callable, Iterable, Sequence

import pytest

from wsproc.engine.call import (
    Call,
    Delta,
    End,
    EndReason,
    EngineError,
    Failure,
    InvalidItem,
    Outcome,
    OutOfMemory,
    Result,
)
from wsproc.engine.messages import Cancel, Message, Open, Outcomes, Ping, Pong, Steps, pack
from wsproc.engine.stages.stage import Emission, StepBudget, TokenCount
from wsproc.engine.tally import BOUNDS_S, StageTally
from wsproc.engine.worker import Worker


class Script:
    """A link that hands in what the test wrote for each turn of the loop, and then ends.

    A turn is a list of messages, or a function that makes one when the turn comes.
    """

    def __init__(self, *turns: Sequence[Message] | Callable[[], Sequence[Message]]) -> None:
        self._turns = list(turns)
        self.sent: list[Message] = []
        self.waits: list[bool] = []

    def receive(self, wait: bool) -> Sequence[Message] | None:
        """Hand in the next turn."""
        self.waits.append(wait)
        if not self._turns:
            return None
        turn = self._turns.pop(0)
        return turn() if callable(turn) else turn

    def send(self, message: Message) -> None:
        """Keep what the worker sends."""
        self.sent.append(message)

    @property
    def outcomes(self) -> list[Outcome]:
        """All outcomes, in order."""
        return [one for sent in self.sent if isinstance(sent, Outcomes) for one in sent.outcomes]

    def of(self, call: int) -> list[Outcome]:
        """Return the outcomes of one call."""
        return [one for one in self.outcomes if one.call == call]


class Countdown:
    """A stage whose items count down, a step a number; some of them raise or run out of memory.

    `{"n": 3}` gives two deltas and, in its third step, its result. `bad` raises in `begin`,
    `sick` in `step`, `refused` is answered with an error; more than `fits` rows do not fit.
    """

    name = "countdown"

    def __init__(self, rows: int = 8, fits: int = 100) -> None:
        self.budget = StepBudget(rows, 1000)
        self.fits = fits
        self.on_device: list[dict] = []
        self.steps: list[list[str]] = []

    def weigh(self, item) -> int:
        """Every item is light."""
        return 1

    def begin(self, items):
        """Put items on the device, or raise as they ask."""
        if any(item.get("bad") for item in items):
            raise RuntimeError("begin")
        runs = [
            InvalidItem("no") if item.get("refused") else {"name": "", **item} for item in items
        ]
        self.on_device += [run for run in runs if isinstance(run, dict)]
        return runs

    def step(self, runs):
        """Count down, or raise as the runs ask."""
        if len(runs) > self.fits:
            raise MemoryError
        if any(run.get("sick") for run in runs):
            raise RuntimeError("step")
        self.steps.append([run["name"] for run in runs])
        return [self._advance(run) for run in runs]

    def _advance(self, run) -> Emission:
        run["n"] -= 1
        if run["n"] == 0:
            return Emission(result={"done": run["name"]})
        return Emission(deltas=({"left": run["n"]},))

    def release(self, runs) -> None:
        """Take runs off the device; one that is not there is a defect."""
        for run in runs:
            self.on_device.remove(run)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def run(
    script: Script,
    stage: Countdown | None = None,
    clock: Clock | None = None,
    record: Callable[[Iterable[tuple[int, int]]], None] = lambda items: None,
) -> Countdown:
    """Run a worker through a script; return its stage."""
    stage = stage or Countdown()
    Worker({"countdown": stage}, script, clock or Clock(), record).run()
    return stage


def opened(call_id: int, *items: dict, **fields) -> Open:
    """Return the message that opens a call."""
    return Open(Call(call_id, "countdown", items, **fields))


def idle(turns: int) -> list[list[Message]]:
    """Return turns in which nothing comes."""
    return [[] for _ in range(turns)]


def test_a_call_runs_to_its_end():
    """Deltas, then each item's result, then one end; nothing stays on the device."""
    script = Script([opened(1, {"n": 3, "name": "a"}, {"n": 1, "name": "b"})], *idle(4))
    stage = run(script)
    assert script.outcomes == [
        Delta(1, 0, {"left": 2}),
        Result(1, 1, {"done": "b"}),
        Delta(1, 0, {"left": 1}),
        Result(1, 0, {"done": "a"}),
        End(1, EndReason.COMPLETED, 0.0, 0.0),
    ]
    assert stage.on_device == []


def test_the_loop_waits_only_when_it_has_nothing_to_do():
    """Between two steps it takes what is there."""
    script = Script([opened(1, {"n": 2})], *idle(2))
    run(script)
    assert script.waits == [True, False, True, True]


def test_calls_join_and_leave_between_steps():
    """A short call that comes later ends before the long one that runs."""
    script = Script(
        [opened(1, {"n": 4, "name": "a"})], [opened(2, {"n": 1, "name": "b"})], *idle(4)
    )
    stage = run(script)
    assert stage.steps == [["a"], ["a", "b"], ["a"], ["a"]]
    ends = [one.call for one in script.outcomes if isinstance(one, End)]
    assert ends == [2, 1]


def test_a_cancel_is_felt_at_the_next_boundary():
    """What runs is released before its end is told; nothing of the call follows."""
    stage = Countdown()
    script = Script(
        [opened(1, {"n": 9, "name": "a"}), opened(2, {"n": 3, "name": "b"})],
        [Cancel(1)],
        *idle(3),
    )
    run(script, stage)
    assert [type(one) for one in script.of(1)] == [Delta, End]
    assert script.of(1)[-1].reason is EndReason.CANCELLED
    assert [type(one) for one in script.of(2)] == [Delta, Delta, Result, End]
    assert stage.steps == [["a", "b"], ["b"], ["b"]]
    assert stage.on_device == []


def test_the_end_of_a_cancelled_call_is_told_before_the_next_step_of_others():
    """The device is free of it by then; who cancelled does not wait for what is none of theirs."""
    stage, sent_before = Countdown(), []
    link = Script(
        [Open(Call(1, "countdown", ({"n": 9},))), Open(Call(2, "countdown", ({"n": 2},)))]
    )
    link._turns += [[Cancel(1)], []]
    step = stage.step

    def watched(runs):
        sent_before.append([type(one) for one in link.of(1)])
        return step(runs)

    stage.step = watched
    Worker({"countdown": stage}, link).run()
    assert sent_before[0] == []
    assert sent_before[1][-1] is End
    assert type(link.of(2)[-1]) is End


def test_a_cancel_of_a_queued_call_never_runs_it():
    """Its end is its only outcome, and it had no run time."""
    script = Script(
        [opened(1, {"n": 2, "name": "a"}), opened(2, {"n": 1, "name": "b"})],
        [Cancel(2)],
        *idle(2),
    )
    stage = run(script, Countdown(rows=1))
    assert script.of(2) == [End(2, EndReason.CANCELLED, 0.0, 0.0)]
    assert ["b"] not in stage.steps


@pytest.mark.parametrize("when", [0, 1, 3])
def test_a_cancel_of_what_is_over_or_unknown_is_silent(when: int):
    """A second one too: each call has one end."""
    turns: list[list[Message]] = [[opened(1, {"n": 1})], *idle(4)]
    turns[when] = [*turns[when], Cancel(1), Cancel(1), Cancel(77)]
    script = Script(*turns)
    run(script)
    assert len([one for one in script.outcomes if isinstance(one, End)]) == 1


def test_a_deadline_ends_a_call_like_a_cancel():
    """Waiting or running; the device is free of it, and the reason is told."""
    clock, stage = Clock(), Countdown(rows=1)

    def later() -> list[Message]:
        clock.now = 5.0
        return []

    script = Script(
        [opened(1, {"n": 9, "name": "a"}, deadline=4.0), opened(2, {"n": 1}, deadline=4.0)],
        later,
        *idle(2),
    )
    run(script, stage, clock)
    ends = {one.call: one for one in script.outcomes if isinstance(one, End)}
    assert ends[1] == End(1, EndReason.DEADLINE, 0.0, 5000.0)
    assert ends[2] == End(2, EndReason.DEADLINE, 5000.0, 0.0)
    assert stage.on_device == []
    assert stage.steps == [["a"]]


def test_a_call_that_comes_too_late_never_runs():
    """Its deadline had passed before its first step."""
    clock = Clock()
    clock.now = 10.0
    script = Script([opened(1, {"n": 1}, deadline=9.0)], [])
    stage = run(script, clock=clock)
    assert script.outcomes == [End(1, EndReason.DEADLINE, 0.0, 0.0)]
    assert stage.steps == []


@pytest.mark.parametrize("trouble", ["bad", "sick"])
def test_an_item_that_raises_fails_alone(trouble: str):
    """In `begin` or in a step: its neighbours have their results, and nothing leaks."""
    logging.disable(logging.CRITICAL)
    try:
        items = [{"n": 1, "name": str(number)} for number in range(7)]
        items[3][trouble] = True
        script = Script([opened(1, *items[:4]), opened(2, *items[4:])], *idle(3))
        stage = run(script)
    finally:
        logging.disable(logging.NOTSET)
    failures = [one for one in script.outcomes if isinstance(one, Failure)]
    error = EngineError("the model failed on this input (RuntimeError)")
    assert failures == [Failure(1, 3, error)]
    assert len([one for one in script.outcomes if isinstance(one, Result)]) == 6
    assert [one.reason for one in script.outcomes if isinstance(one, End)] == ["completed"] * 2
    assert stage.on_device == []


def test_an_item_that_the_stage_refuses_fails_with_its_words():
    """It never was on the device."""
    script = Script([opened(1, {"n": 1, "refused": True}, {"n": 1, "name": "b"})], [])
    stage = run(script)
    assert script.outcomes == [
        Failure(1, 0, InvalidItem("no")),
        Result(1, 1, {"done": "b"}),
        End(1, EndReason.COMPLETED, 0.0, 0.0),
    ]
    assert stage.on_device == []


def test_what_does_not_fit_together_is_stepped_apart():
    """All items are served, each with one result, by halves that fit."""
    script = Script([opened(1, *({"n": 1, "name": str(n)} for n in range(8)))], *idle(2))
    stage = run(script, Countdown(fits=2))
    assert sorted(map(len, stage.steps)) == [2, 2, 2, 2]
    assert len([one for one in script.outcomes if isinstance(one, Result)]) == 8


def test_one_that_does_not_fit_alone_is_told_so():
    """As out of memory, with what to do about it."""
    script = Script([opened(1, {"n": 1})], [])
    stage = run(script, Countdown(fits=0))
    failure, _ = script.outcomes
    assert isinstance(failure.error, OutOfMemory)
    assert stage.on_device == []


@pytest.mark.parametrize("trouble", ["bad", "sick"])
def test_a_device_that_is_lost_ends_the_worker(trouble: str):
    """What was on it is still on record, nobody fails, and the pool sees a death."""
    noted: list[list[tuple[int, int]]] = []

    def check() -> None:
        raise ConnectionError("no device")

    script = Script([opened(1, {"n": 1, trouble: True}, {"n": 1})], [])
    worker = Worker(
        {"countdown": Countdown()},
        script,
        Clock(),
        record=lambda items: noted.append(list(items)),
        check=check,
    )
    with pytest.raises(ConnectionError):
        worker.run()
    assert noted == [[(1, 0), (1, 1)]]
    assert script.outcomes == []


def test_a_ping_is_answered_between_two_steps():
    """While work is under way."""
    script = Script([opened(1, {"n": 3})], [Ping(4)], *idle(2))
    run(script)
    assert Pong(4) in script.sent
    assert script.sent.index(Pong(4)) == 1


def test_the_outcomes_of_a_step_are_one_message():
    """However many calls it served."""
    script = Script([opened(number, {"n": 1}) for number in range(5)], [])
    run(script)
    assert sum(isinstance(sent, Outcomes) for sent in script.sent) == 1
    assert len(script.outcomes) == 10


def test_what_the_steps_were_made_of_is_told_before_a_pause():
    """How many, their rows, and the stage's tokens with the padding beside them, if it counts."""

    class Counting(Countdown):
        """Computes four tokens a row, one of them padding."""

        def __init__(self) -> None:
            super().__init__()
            self.counted = TokenCount()

        def step(self, runs):
            """Count, then count down."""
            self.counted.useful += 3 * len(runs)
            self.counted.computed += 4 * len(runs)
            return super().step(runs)

    script = Script([opened(1, {"n": 1}, {"n": 2})], *idle(1), [opened(2, {"n": 1})], [])
    run(script, Counting())
    told = [sent.stages for sent in script.sent if isinstance(sent, Steps)]
    rows, at_once = Counting().budget.rows, [0] * len(BOUNDS_S)
    assert told == [
        {"countdown": StageTally(2, 0.0, 3, 9, 3, room=2 * rows, lasted=[2, *at_once])},
        {"countdown": StageTally(1, 0.0, 1, 3, 1, room=rows, lasted=[1, *at_once])},
    ]


def test_a_busy_worker_tells_its_steps_now_and_then():
    """Not with each of them: a quarter of a second is often enough for metrics."""
    clock = Clock()

    def later() -> list[Message]:
        clock.now += 0.1
        return []

    script = Script([opened(1, {"n": 100})], *[later] * 9)
    run(script, clock=clock)
    told = [sent.stages["countdown"] for sent in script.sent if isinstance(sent, Steps)]
    assert [tally.steps for tally in told] == [4, 3, 3]


def test_times_are_of_the_call():
    """From its arrival to its first step, and from there to its end."""
    clock = Clock()

    def at(now: float) -> Callable[[], list[Message]]:
        def turn() -> list[Message]:
            clock.now = now
            return []

        return turn

    first = opened(1, {"n": 2, "name": "a"})
    script = Script([first, opened(2, {"n": 1, "name": "b"})], at(1.0), at(3.0), at(4.0))
    run(script, Countdown(rows=1), clock)
    ends = {one.call: one for one in script.outcomes if isinstance(one, End)}
    assert (ends[1].queued_ms, ends[1].run_ms) == (0.0, 1000.0)
    assert (ends[2].queued_ms, ends[2].run_ms) == (3000.0, 0.0)


def test_what_is_on_the_device_is_on_record():
    """From before it begins until its step is over: items that go on, and those that join."""
    log: list = []

    class Logged(Countdown):
        """Logs what the worker has it do."""

        def begin(self, items):
            """Log a begin."""
            log.append("begin")
            return super().begin(items)

        def step(self, runs):
            """Log a step."""
            log.append("step")
            return super().step(runs)

        def release(self, runs) -> None:
            """Log a release."""
            log.append("release")
            super().release(runs)

    script = Script([opened(7, {"n": 2}, {"n": 1})], [opened(8, {"n": 1})], *idle(2))
    run(script, Logged(), record=lambda items: log.append(sorted(items)))
    first = [[(7, 0), (7, 1)], "begin", "step", "release", []]
    second = [[(7, 0), (8, 0)], "begin", "step", "release", []]
    assert log == first + second


class Clumsy(Countdown):
    """A stage that raises where it should not, or gives what it should not."""

    def weigh(self, item):
        """Raise, or give what the item says."""
        if item.get("weigh") == "raise":
            raise KeyError("weigh")
        return item.get("weigh", 1)

    def _advance(self, run) -> Emission:
        if "error" in run:
            return Emission(error=EngineError(run["error"]))
        emission = super()._advance(run)
        value = run.get("value")
        return Emission(deltas=({"v": value},), result=emission.result) if value else emission

    def release(self, runs) -> None:
        """Raise after the work was done."""
        super().release(runs)
        raise RuntimeError("release")


@pytest.mark.parametrize("weight", ["raise", "heavy", None, 0, -3])
def test_an_item_that_cannot_be_weighed_weighs_one(weight):
    """It joins like any other."""
    script = Script([opened(1, {"n": 1, "name": "a", "weigh": weight})], [])
    run(script, Clumsy())
    assert [type(one) for one in script.outcomes] == [Result, End]


def test_a_stage_that_raises_in_release_serves_on(caplog: pytest.LogCaptureFixture):
    """After a result and after a cancel; the log has it."""
    script = Script([opened(1, {"n": 1}), opened(2, {"n": 9})], [Cancel(2)], [opened(3, {"n": 1})])
    run(script, Clumsy())
    assert [one.call for one in script.outcomes if isinstance(one, End)] == [1, 2, 3]
    assert [one.message for one in caplog.records] == ["the countdown stage raised in release"] * 3


class Wire(Script):
    """A link that packs what it is given, as the real one does."""

    def send(self, message: Message) -> None:
        """Raise TypeError for what is no JSON."""
        pack(message, 0.0)
        super().send(message)


@pytest.mark.parametrize("item", [{"n": 1, "value": {1}}, {"n": 1, "error": "half: \ud800"}])
def test_what_is_no_json_fails_its_item_alone(item: dict):
    """A value, or the words of an error; its neighbours have theirs, each call its end."""
    script = Wire([opened(1, item, {"n": 1, "name": "b"}), opened(2, {"n": 1})], [])
    run(script, Clumsy())
    first = next(one for one in script.of(1) if getattr(one, "item", None) == 0)
    assert isinstance(first, Failure)
    assert "the stage gave a value that is no JSON" in first.error.message
    assert Result(1, 1, {"done": "b"}) in script.outcomes
    assert [one.call for one in script.outcomes if isinstance(one, End)] == [1, 2]
