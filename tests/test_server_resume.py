"""Connections are lost, sessions are not: resume, takeover, kept jobs and repeated submits."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.fakes import FakeCall, FakeEngine, plausible, serving
from tests.raw import first_frame, raw_connection, send_raw
from tests.waiting import until
from tests.wire import PROMPT, connected, http, left
from wsproc.engine import EndReason
from wsproc.events import label
from wsproc.outbox import ANSWER_COST
from wsproc.server import Server


async def logged(server: Server, job: str, seq: int) -> None:
    """Wait until the one session that was left has a job's frames up to a number."""
    (host,) = server.lobby.sessions
    await until(lambda: host.session.log.last_seq(job) >= seq)


@pytest.fixture(autouse=True)
def _fast(caplog: pytest.LogCaptureFixture):
    """No test here may leave an error in the log."""
    yield
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_generation_goes_on_where_the_connection_was_lost():
    """Invariant 7: nothing twice, nothing missing, and what was sent again says so."""
    engine = FakeEngine()
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a")
            call = await engine.calls.get()
            call.delta(text="one ")
            seen = await wire.next("token")
            wire.lose()
        await left(server)
        call.delta(text="two ")
        async with connected(server) as again:
            reply = await again.resume(wire.welcome["session"], {"a": seen["seq"]})
            assert reply == {
                "type": "reply",
                "op": "resume",
                "outcome": "ok",
                "session": wire.welcome["session"],
                "jobs": {"a": {"last_seq": seen["seq"] + 1, "recovered": True}},
            }
            missed = await again.next("token")
            assert (missed["text"], missed["replay"]) == ("two ", True)
            call.delta(text="three")
            live = await again.next("token")
            assert (live["text"], "replay" in live) == ("three", False)
            call.finish()
            assert (await again.next("done"))["result"]["text"] == "one two three"


async def test_a_resume_works_with_no_frame_seen():
    """A client that lost its connection right behind the submit is told from `accepted` on.

    Invariant 9.
    """
    engine = FakeEngine(answers=plausible)
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a", meta="mine")
            await until(lambda: server.admission.live > 0)
            wire.lose()
        await left(server)
        async with connected(server) as again:
            await again.resume(wire.welcome["session"])
            accepted = await again.next("accepted")
            assert (accepted["seq"], accepted["replay"], accepted["meta"]) == (1, True, "mine")
            done = await again.next("done")
            tokens = [frame["text"] for frame in again.of("a") if frame["type"] == "token"]
            assert "".join(tokens) == done["result"]["text"]


async def test_a_session_without_a_job_may_be_taken_up_as_well():
    """There is nothing to send again, and jobs may be submitted."""
    async with serving(FakeEngine(answers=plausible)) as server:
        async with connected(server) as wire:
            wire.lose()
        await left(server)
        async with connected(server) as again:
            reply = await again.resume(wire.welcome["session"])
            assert (reply["outcome"], reply["jobs"]) == ("ok", {})
            await again.send(**PROMPT, id="a")
            assert (await again.next("done"))["status"] == "completed"


async def test_what_is_sent_again_is_the_same_but_for_its_mark():
    """Invariants 3 and 9: byte for byte, from any number on, after the end too."""
    async with serving(FakeEngine(answers=plausible)) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a", meta={"k": [1, None]})
            await wire.next("done")
            wire.lose()
        first = wire.of("a")
        for seen in range(len(first) + 2):
            async with connected(server) as again:
                await again.resume(wire.welcome["session"], {"a": seen})
                await again.send(type="ping", n=1)
                await again.next("pong")
                wanted = [{**frame, "replay": True} for frame in first[seen:]]
                while len(again.of("a")) < len(wanted):
                    await again.receive()
                assert again.of("a") == wanted
                again.lose()


async def test_the_newer_connection_wins():
    """Invariant 9: three in a row, each while the one before is still open; all text arrives once.

    Invariant 9.
    """
    engine = FakeEngine()
    async with serving(engine) as server, AsyncExitStack() as stack:
        wire = await stack.enter_async_context(connected(server))
        session = wire.welcome["session"]
        await wire.send(**PROMPT, id="a")
        call = await engine.calls.get()
        call.delta(text="one ")
        token = await wire.next("token")
        text = token["text"]
        for word in ("two ", "three ", "four "):
            newer = await stack.enter_async_context(connected(server))
            await newer.resume(session, {"a": token["seq"]})
            assert await wire.closed() == 4409
            call.delta(text=word)
            token = await newer.next("token")
            text += token["text"]
            wire = newer
        call.finish()
        assert (await wire.next("done"))["result"]["text"] == text == "one two three four "


async def test_a_restarted_server_and_a_wrong_session_say_what_they_are():
    """Invariant 9: and the new session of the connection goes on as if nothing was asked."""
    async with serving(FakeEngine()) as other, connected(other) as wire:
        foreign = wire.welcome["session"]
    async with serving(FakeEngine(answers=plausible)) as server, connected(server) as wire:
        session = wire.welcome["session"]
        assert (await wire.resume(foreign))["outcome"] == "epoch_changed"
        assert (await wire.resume(session[:-1] + "?"))["outcome"] == "unknown_session"
        assert (await wire.resume("nonsense"))["outcome"] == "unknown_session"
        await wire.send(**PROMPT, id="a")
        assert (await wire.next("done"))["status"] == "completed"


async def test_a_connection_with_jobs_takes_up_no_other_session():
    """Its own jobs would be left with nobody to read them."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as one, connected(server) as other:
        await other.send(**PROMPT, id="a")
        await other.next("accepted")
        await other.send(type="resume", session=one.welcome["session"])
        error = (await other.next("error"))["error"]
        assert error["message"] == (
            "this connection has jobs already; resume on a new one, before its first job"
        )
        assert error["path"] == "session"


async def test_frames_of_the_own_session_may_be_asked_for_again():
    """On the same connection, after the jobs began: what a client dropped it gets once more."""
    async with serving(FakeEngine(answers=plausible)) as server, connected(server) as wire:
        await wire.send(**PROMPT, id="a")
        done = await wire.next("done")
        await wire.resume(wire.welcome["session"], {"a": done["seq"] - 1})
        assert await wire.next("done") == {**done, "replay": True}


# --- clean and abnormal ends, kept jobs -----------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, None])
async def test_a_clean_close_cancels_at_once_what_is_not_kept(code: int | None):
    """Also one without a code, as browsers send it; kept jobs run on, results wait."""
    engine = FakeEngine()
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="gone")
            gone = await engine.calls.get()
            await wire.send(**PROMPT, id="kept", on_disconnect="keep")
            kept = await engine.calls.get()
            kept.delta(text="one ")
            await wire.next("token")
            if code is None:
                wire.socket.protocol.send_close()
                wire.socket.send_data()
                await wire.socket.wait_closed()
            else:
                await wire.socket.close(code)
        await gone.cancelled.wait()
        assert not kept.cancelled.is_set()
        kept.finish("two")
        async with connected(server) as again:
            await again.resume(wire.welcome["session"])
            ends = {}
            while len(ends) < 2:
                frame = await again.next("done")
                ends[frame["id"]] = frame
        assert ends["kept"]["result"]["text"] == "one two"
        assert (ends["gone"]["status"], ends["gone"]["reason"]) == ("cancelled", "disconnect")


async def test_a_lost_client_has_resume_s_to_come_back():
    """Then its jobs are cancelled, those aside that are to be kept."""
    engine = FakeEngine()
    async with serving(engine, resume_s=0.2) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="gone")
            gone = await engine.calls.get()
            await wire.send(**PROMPT, id="kept", on_disconnect="keep")
            kept = await engine.calls.get()
            wire.lose()
        await left(server)
        assert not gone.cancelled.is_set()
        await gone.cancelled.wait()
        assert not kept.cancelled.is_set()
        kept.finish("all")
        async with connected(server) as again:
            reply = await again.resume(wire.welcome["session"])
            assert set(reply["jobs"]) == {"gone", "kept"}


async def test_a_session_is_forgotten_when_nothing_is_left_of_it():
    """After `resume_s` and, where there were jobs, the time that results are kept."""
    async with serving(FakeEngine(answers=plausible), resume_s=0.05, result_ttl_s=0.1) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a")
            await wire.next("done")
        await until(lambda: len(server.lobby.sessions) == 0)
        assert server.lobby.budget.size == 0
        async with connected(server) as again:
            reply = await again.resume(wire.welcome["session"])
            assert reply["outcome"] == "unknown_session"


async def test_too_many_sessions_without_a_client_give_way():
    """The one that was left longest ago loses its jobs; memory and the engine are bounded."""
    engine = FakeEngine()
    async with serving(engine, max_detached_sessions=1) as server:
        calls = []
        for count in (1, 2):
            async with connected(server) as wire:
                await wire.send(**PROMPT, id="a", on_disconnect="keep")
                calls.append(await engine.calls.get())
                wire.lose()
            if count == 1:
                await left(server)
        await calls[0].cancelled.wait()
        assert not calls[1].cancelled.is_set()


# --- trimmed logs ---------------------------------------------------------------------------------


async def test_a_running_job_whose_frames_are_gone_is_told_in_one():
    """A snapshot stands for all up to its number, and the tokens behind it complete the text.

    Invariant 9.
    """
    engine = FakeEngine()
    async with serving(engine, replay_bytes=1 << 16) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a", on_disconnect="keep")
            call = await engine.calls.get()
            wire.lose()
        await left(server)
        await call.say(*(f"{number} " for number in range(1000)))
        await logged(server, "a", 1002)
        async with connected(server) as again:
            reply = await again.resume(wire.welcome["session"])
            assert reply["jobs"]["a"]["recovered"] is False
            shot = await again.receive()
            assert (shot["status"], shot["state"], shot["replay"]) == ("snapshot", "running", True)
            call.finish("end")
            done = await again.next("done")
            rest = [frame["text"] for frame in again.of("a") if frame["type"] == "token"]
            assert shot["partial_result"]["text"] + "".join(rest) == done["result"]["text"]
            assert done["result"]["text"].endswith("998 999 end")


async def test_an_ended_job_whose_frames_are_gone_is_its_done():
    """It holds everything that the frames before it said."""
    engine = FakeEngine()
    async with serving(engine, replay_bytes=1 << 16) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a")
            call = await engine.calls.get()
            await call.say(*(f"{number} " for number in range(1000)))
            call.finish()
            done = await wire.next("done")
            wire.lose()
        async with connected(server) as again:
            reply = await again.resume(wire.welcome["session"])
            assert reply["jobs"] == {"a": {"last_seq": done["seq"], "recovered": False}}
            assert await again.receive() == {**done, "replay": True}


# --- the same submit again ------------------------------------------------------------------------


async def test_the_same_submit_again_is_the_same_job():
    """Row C4: while it runs, after it ended, after a resume; written out or by its defaults."""
    engine = FakeEngine()
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a", meta={"x": 1, "y": 2})
            call = await engine.calls.get()
            await wire.send(**PROMPT, id="a", meta={"y": 2, "x": 1}, priority=5)
            again = await wire.next("accepted", duplicate=True)
            assert "seq" not in again
            assert again["last_seq"] >= 1
            call.finish("text")
            done = await wire.next("done")
            await wire.send(**PROMPT, id="a", meta={"x": 1, "y": 2})
            again = await wire.next("accepted", duplicate=True)
            assert again["last_seq"] == done["seq"]
            assert await wire.next("done") == {**done, "replay": True}
            wire.lose()
        async with connected(server) as late:
            await late.resume(wire.welcome["session"], {"a": done["seq"]})
            await late.send(**PROMPT, id="a", meta={"x": 1, "y": 2})
            await late.next("accepted", duplicate=True)
            assert (await late.next("done"))["result"] == done["result"]
        assert engine.calls.empty()


async def test_another_job_under_the_same_id_is_a_conflict():
    """Row C4: as long as the first lives or its result is kept; the socket stays open."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server) as wire:
        await wire.send(**PROMPT, id="a")
        call = await engine.calls.get()
        await wire.send(**PROMPT, id="a", seed=1)
        assert (await wire.next("rejected"))["error"]["code"] == "id_conflict"
        call.finish("text")
        await wire.next("done")
        await wire.send(**PROMPT, id="a", meta=True)
        rejected = await wire.next("rejected")
        assert rejected["error"] == {
            "code": "id_conflict",
            "message": "another job with the id 'a' is running, or its result is kept",
            "retryable": False,
            "path": "id",
        }
        await wire.send(type="jobs")
        (job,) = (await wire.next("reply"))["jobs"]
        assert (job["state"], job["status"]) == ("done", "completed")


# --- cancels across connections -------------------------------------------------------------------


async def test_a_cancel_while_frames_are_sent_again_leaves_no_hole():
    """Invariant 3: what waited to be sent again is purged, and the end has the next number."""
    engine = FakeEngine(slow_to_stop=True)
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a", on_disconnect="keep")
            call = await engine.calls.get()
            wire.lose()
        await left(server)
        await call.say(*(f"{number} " for number in range(2000)))
        await logged(server, "a", 2002)
        async with connected(server) as again:
            session = wire.welcome["session"]
            frames = [{"type": "resume", "session": session}, {"type": "cancel", "id": "a"}]
            for frame in frames:
                await again.socket.send(json.dumps(frame))
            again._seq["a"] = 0
            await again.next("reply", op="cancel", outcome="cancelling")
            call.end(EndReason.CANCELLED)
            done = await again.next("done")
            assert done["reason"] == "client"
            assert done["seq"] < 2000


async def test_a_stalled_reader_is_detached_and_resumes_complete():
    """Sixteen generations go on, a neighbour feels nothing, and no text is lost.

    Row B1, invariant 8.
    """
    engine = FakeEngine()
    async with (
        serving(engine, send_timeout_s=0.3, outbox_bytes=20_000, replay_bytes=16 << 20) as server,
        connected(server) as neighbour,
    ):
        reader, writer = await raw_connection(server)
        welcome = await first_frame(reader)
        for job in range(16):
            send_raw(writer, {**PROMPT, "id": f"j{job}", "on_disconnect": "keep"})
        calls = [await engine.calls.get() for _ in range(16)]
        feeding = [asyncio.create_task(_feed(call, 100, "x" * 2000)) for call in calls]
        await neighbour.send(**PROMPT, id="a")
        plausible(await engine.calls.get())
        assert (await neighbour.next("done"))["status"] == "completed"
        await left(server)
        await asyncio.gather(*feeding)
        writer.transport.abort()
        async with connected(server, max_size=None) as again:
            reply = await again.resume(welcome["session"])
            assert [told["recovered"] for told in reply["jobs"].values()] == [True] * 16
            ends: dict[str, dict] = {}
            while len(ends) < 16:
                done = await again.next("done")
                ends[done["id"]] = done
        for job, done in ends.items():
            assert done["status"] == "completed"
            text = ""
            for frame in again.of(job):
                text += frame.get("text", "")
            assert text == done["result"]["text"]
            assert done["result"]["text"] == "x" * 2000 * 100


async def _feed(call: FakeCall, words: int, word: str) -> None:
    for _ in range(words):
        call.delta(text=word)
        await asyncio.sleep(0)
    call.finish()


async def test_a_peer_that_is_taken_over_is_not_waited_for():
    """The older connection reads nothing; the newer one has the session at once."""
    engine = FakeEngine()
    async with serving(engine, send_timeout_s=30, outbox_bytes=20_000) as server:
        reader, writer = await raw_connection(server)
        welcome = await first_frame(reader)
        send_raw(writer, {**PROMPT, "id": "a"})
        call = await engine.calls.get()
        feeding = asyncio.create_task(_feed(call, 200, "x" * 10_000))
        (host,) = server.lobby.sessions
        await until(lambda: host.session.outbox.congested)
        async with connected(server, max_size=None) as again:
            await again.resume(welcome["session"])
            done = await again.next("done")
            await feeding
            assert done["result"]["text"] == "x" * 10_000 * 200
            writer.transport.abort()


async def test_no_connection_is_left_behind():
    """Whatever was lost, taken over or closed, the server knows of none in the end."""
    async with serving(FakeEngine(answers=plausible)) as server:
        async with connected(server) as one:
            with suppress(ConnectionClosed):
                async with connect(server.url) as other:
                    await other.recv()
                    frame = {"type": "resume", "session": one.welcome["session"]}
                    await other.send(json.dumps(frame))
                    await other.recv()
            assert await one.closed() == 4409
        await until(lambda: not server._connections)


# --- what an operator sees ------------------------------------------------------------------------


async def figures(server: Server) -> dict[tuple[str, ...], float]:
    """Return the figures of a server by name and labels, as Prometheus reads them."""
    text = (await http(server, "/metrics"))[2].decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_sessions_and_what_is_held_for_them_are_counted():
    """With a connection or without, the bytes kept and unsent, who came back and who could not."""
    engine = FakeEngine()
    async with serving(engine) as server:
        async with connected(server) as wire:
            await wire.send(**PROMPT, id="a")
            call = await engine.calls.get()
            call.delta(text="one ")
            await wire.next("token")
            told = await figures(server)
            assert told["wsproc_sessions", "attached"] == 1
            assert told["wsproc_replay_bytes",] > 0
            assert told["wsproc_outbox_bytes",] == 0
            wire.lose()
        await left(server)
        told = await figures(server)
        assert (told["wsproc_sessions", "attached"], told["wsproc_sessions", "detached"]) == (0, 1)
        assert told["wsproc_connections",] == 0
        assert told["wsproc_jobs_live",] == 1
        async with connected(server) as again:
            assert (await again.resume("no.such"))["outcome"] == "unknown_session"
            assert (await again.resume(wire.welcome["session"]))["outcome"] == "ok"
            told = await figures(server)
            call.finish()
            await again.next("done")
    assert told["wsproc_resumes_total", "ok"] == 1
    assert told["wsproc_resumes_total", "unknown_session"] == 1
    assert (told["wsproc_sessions", "attached"], told["wsproc_sessions", "detached"]) == (1, 0)


async def test_what_waits_for_a_reader_is_counted():
    """The bytes of all outboxes together."""
    engine = FakeEngine()
    async with serving(engine) as server, connected(server):
        (host,) = server.lobby.sessions
        assert (await figures(server))["wsproc_outbox_bytes",] == host.session.outbox.size == 0
        host.session.outbox.put_first(b"pong")
        assert server.lobby.unsent_bytes == host.session.outbox.size == 4 + ANSWER_COST


async def test_a_session_that_goes_on_is_on_the_lines_of_its_new_connection(
    caplog: pytest.LogCaptureFixture,
):
    """It is told that it was taken up, by its label, and so is what could not be."""
    caplog.set_level("INFO", "wsproc.connection")
    async with serving(FakeEngine()) as server:
        async with connected(server) as wire:
            wire.lose()
        await left(server)
        async with connected(server) as again:
            await again.resume("no.such")
            await again.resume(wire.welcome["session"])
    lines = [one for one in caplog.records if "resumed" in one.getMessage()]
    assert [one.getMessage() for one in lines] == ["session not resumed", "session resumed"]
    assert lines[0].outcome == "unknown_session"
    assert lines[1].session == label(wire.welcome["session"])
    assert wire.welcome["session"] not in caplog.text
