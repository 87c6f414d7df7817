"""Whatever happens to connections and servers, each job is told whole, once, and to its end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproc.client.entry import submit_message
from wsproc.client.errors import ConnectionLost, JobLost
from wsproc.client.ledger import Ledger
from wsproc.frames.server import Recovered, ResumeReply, Token
from wsproc.protocol import decode_server

LOST = ConnectionLost("gone", 1006)


@dataclass
class Run:
    """One execution of a job on the server: its frames so far, and how many were kept."""

    body: dict[str, Any]
    frames: list[dict[str, Any]] = field(default_factory=list)
    trimmed: int = 0

    @property
    def text(self) -> str:
        """What the job writes: the same in every run of the same prompt and seed."""
        return f"{self.body['prompt']} went on {self.body['seed'] % 7} ways and ended."

    @property
    def over(self) -> bool:
        """Whether the last frame is the end."""
        return bool(self.frames) and self.frames[-1]["type"] == "done"

    def told(self) -> str:
        """The text of the tokens so far."""
        return "".join(frame.get("text", "") for frame in self.frames)

    def add(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Add the next frame."""
        frame = {"type": kind, "id": self.body["id"], "seq": len(self.frames) + 1, **fields}
        self.frames.append(frame)
        return frame

    def step(self, size: int) -> dict[str, Any] | None:
        """Make the next frame, if any is left."""
        if self.over:
            return None
        rest = self.text[len(self.told()) :]
        if rest:
            return self.add("token", text=rest[: size + 1])
        return self.end("completed", message="", total_processing_time=0, timestamp="")

    def end(self, status: str, **fields: Any) -> dict[str, Any]:
        """End the job."""
        common = {"usage": {}, "timing_ms": {"queued": 0, "run": 0}, "result": {"text": self.text}}
        return self.add("done", status=status, **common, **fields)

    def replay(self, after: int) -> list[dict[str, Any]]:
        """Return the frames after one, or what stands for them."""
        if after >= self.trimmed:
            return [{**frame, "replay": True} for frame in self.frames[after:]]
        if self.over:
            return [{**self.frames[-1], "replay": True}]
        stand_in = {
            "status": "snapshot",
            "state": "running",
            "partial_result": {"text": self.told()},
        }
        place = {"id": self.body["id"], "seq": len(self.frames), "replay": True}
        return [{"type": "status", **place, **stand_in}]


class World:
    """A server by the protocol's rules, a ledger, and a line between them that may break."""

    def __init__(self) -> None:
        self.ledger = Ledger(desk=None, repeat={"generate"}, returns=True)  # type: ignore[arg-type]
        self.runs: dict[str, Run] = {}
        self.answers: list[asyncio.Future[Any]] = []
        self.connected = True

    def submit(self) -> None:
        """Submit one more job."""
        name = self.ledger.entries.new_name()
        fields = {"prompt": f"Job {name}", "seed": len(self.answers)}
        message = submit_message("generate", name, fields)
        self.answers.append(self.ledger.submit(name, "generate", fields, message))
        self.send([message])

    def send(self, messages: list[Any]) -> None:
        """Carry the client's messages to the server, if there is a line."""
        for message in messages if self.connected else []:
            body = json.loads(message)
            if body["id"] not in self.runs:
                run = self.runs[body["id"]] = Run(body)
                run.add("accepted", position=0, eta_ms=None)
                self.deliver(run.frames[0])

    def deliver(self, frame: dict[str, Any]) -> None:
        """Carry a frame to the client, if there is a line."""
        if self.connected:
            decoded = decode_server(json.dumps(frame))
            assert decoded is not None
            self.send(self.ledger.receive(decoded, 0.0))

    def step(self, which: int, size: int) -> None:
        """Let one job make a frame."""
        live = [run for run in self.runs.values() if not run.over]
        if live and (frame := live[which % len(live)].step(size)):
            self.deliver(frame)

    def stop(self, which: int, reason: str) -> None:
        """Let the server stop one job by itself."""
        live = [run for run in self.runs.values() if not run.over]
        if live:
            run = live[which % len(live)]
            self.deliver(run.end("cancelled", reason=reason))

    def trim(self, which: int) -> None:
        """Let the server forget the frames of one job so far."""
        if self.runs:
            run = list(self.runs.values())[which % len(self.runs)]
            run.trimmed = len(run.frames)

    def lose(self) -> None:
        """Cut the line."""
        if self.connected:
            self.connected = False
            self.ledger.interrupt(LOST)

    def resume(self, *, restarted: bool) -> None:
        """Connect again, to the same server or to one that knows nothing."""
        if self.connected:
            return
        self.connected = True
        if restarted:
            self.runs.clear()
            self.send(self.ledger.forgotten(LOST, 0.0))
            return
        after = self.ledger.after(99)
        known = {
            job: Recovered(last_seq=len(run.frames), recovered=after.get(job, 0) >= run.trimmed)
            for job, run in self.runs.items()
        }
        messages = self.ledger.resumed(ResumeReply(outcome="ok", jobs=known), LOST, 0.0)
        for job, run in list(self.runs.items()):
            for frame in run.replay(after.get(job, 0)):
                self.deliver(frame)
        self.send(messages)

    def outage(self, steps: list[int], trimmed: bool, restarted: bool) -> None:
        """Cut the line, let the server go on, and connect again."""
        self.lose()
        for step in steps:
            self.step(step, step)
            if trimmed:
                self.trim(step)
        self.resume(restarted=restarted)

    def finish(self) -> None:
        """Connect if need be, and let everything come to its end."""
        self.resume(restarted=False)
        while any(not run.over for run in self.runs.values()):
            self.step(0, 5)


ACTIONS = st.one_of(
    st.just(("submit",)),
    st.tuples(st.just("step"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("step"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("trim"), st.integers(0, 9)),
    st.tuples(st.just("stop"), st.integers(0, 9), st.sampled_from(["shutdown", "disconnect"])),
    st.tuples(st.just("outage"), st.lists(st.integers(0, 9)), st.booleans(), st.booleans()),
    st.just(("lose",)),
    st.tuples(st.just("resume"), st.booleans()),
)


@settings(max_examples=300)
@given(actions=st.lists(ACTIONS, max_size=30), readers=st.integers(0, 2**9))
def test_every_job_is_told_whole_and_once(actions, readers):
    """Over losses, resumes, trimmed logs, stops and restarts of the server, in any order."""

    async def play() -> None:
        world = World()
        reading = []
        for action, *arguments in actions:
            if action == "resume":
                world.resume(restarted=arguments[0])
            else:
                getattr(world, action)(*arguments)
            for n, answer in enumerate(world.answers[len(reading) :], len(reading)):
                if not answer.done():
                    break
                early = readers >> (n % 9) & 1
                reading.append(asyncio.create_task(read(answer.result())) if early else None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        world.finish()
        for n, answer in enumerate(world.answers):
            task = reading[n] if n < len(reading) else None
            job = await answer
            pieces = await (task or read(job))
            restarted_too_often = job.done is not None and job.done.status == "cancelled"
            if restarted_too_often:
                assert job.restarts == 10
                continue
            assert "".join(pieces) == (await job.result())["text"]
            assert (await job.result())["text"].startswith(f"Job {job.id} went on")
            assert [event async for event in job] == []
        assert len(world.ledger.entries) == 0

    asyncio.run(play())


async def read(job: Any) -> list[str]:
    """Read the text of a job as `tokens` does, to its end whatever it is."""
    pieces = []
    async for event in job:
        if isinstance(event, Token):
            pieces.append(event.text)
        elif (rest := job._untold(event)) is not None:
            pieces.append(rest)
        assert event.id == job.id
    return pieces


async def test_a_job_that_takes_every_server_down_is_lost_in_the_end():
    """After ten restarts a job is lost: it may be what the servers die of."""
    world = World()
    world.submit()
    for _ in range(10):
        world.lose()
        world.resume(restarted=True)
    assert (await world.answers[0]).restarts == 10
    world.lose()
    world.resume(restarted=True)
    with pytest.raises(JobLost):
        await (await world.answers[0]).result()


async def test_the_live_jobs_are_told_first_where_a_resume_has_room_for_few():
    """`after` keeps to its bound: live jobs, then the latest of the ended."""
    world = World()
    for _ in range(4):
        world.submit()
    for which in (0, 0):
        while not list(world.runs.values())[which].over:
            world.step(which, 99)
    while not list(world.runs.values())[1].over:
        world.step(0, 99)
    assert list(world.ledger.after(3)) == ["py-3", "py-4", "py-2"]
