"""The blocking client against a real server in another thread, as scripts and notebooks use it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

import wsproc
import wsproc.sync
from tests.fakes import UNENDING, FakeEngine, fake_server, plausible
from wsproc.client import ConnectionState
from wsproc.client.loop_thread import LoopThread
from wsproc.frames.server import Completed, Started

TEXT = "Ada had a lovely day. The train home was slow and awful. It rained."


@contextmanager
def address(engine: FakeEngine | None = None, **settings):
    """A server in a thread of its own; its address."""
    thread = LoopThread()

    async def start():
        server = fake_server(engine or FakeEngine(answers=plausible), **settings)
        await server.start()
        return server

    server = thread.call(start())
    try:
        yield server.url
    finally:
        thread.call(server.close())
        thread.stop()


@contextmanager
def client_of(engine: FakeEngine | None = None, **settings):
    """A blocking client of such a server."""
    with address(engine, **settings) as url, wsproc.connect_sync(url) as client:
        yield client


def test_a_job_from_its_submit_to_its_result():
    """Events by iteration, the result by call; no `await` anywhere."""
    with client_of() as client:
        job = client.process(TEXT, include_summary=False, include_entities=True, meta=[1])
        assert job.accepted.meta == [1]
        events = list(job)
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Completed)
        result = job.result()
        assert result.sentiment == result["sentiment"]["overall_sentiment"] == "NEGATIVE"
        assert [entity.text for entity in result.entities] == ["Ada"]
        assert job.wait() is job.done
        assert list(job) == []


def test_every_task_has_its_call():
    """`batch`, `generate`, `submit`, and the questions, as on the other client."""
    with client_of() as client:
        assert client.batch(TEXT, include_summary=False).result()["chunks"] == 1
        assert len(client.batch(texts=[TEXT, TEXT], include_summary=False).result().results) == 2
        assert "".join(client.generate("Hello", max_tokens=2).tokens()) == " word0 word1"
        assert client.submit("generate", prompt="Hello", max_tokens=1).result()["text"] == " word0"
        assert client.ping() > 0
        assert {job.state for job in client.jobs()} == {"done"}
        assert client.cancel("nobody").outcome == "unknown"
        assert client.cancel_all().ids == []
        assert client.welcome.tasks == ["process", "batch", "generate"]
        assert client.state == ConnectionState("open")
        assert "<SyncClient" in repr(client)


def test_errors_are_the_same():
    """What the other client raises is raised here."""
    with client_of() as client:
        with pytest.raises(wsproc.JobRejected) as caught:
            client.process("short")
        assert caught.value.path == "text"
        with pytest.raises(TimeoutError):
            client.generate(UNENDING).result(timeout=0.05)
    with pytest.raises(wsproc.ConnectFailed):
        wsproc.connect_sync("ws://127.0.0.1:1")


def test_leaving_with_cancels_a_job_that_runs():
    """`with job` and `job.cancel` stop the work."""
    with client_of() as client:
        with client.generate(UNENDING) as job:
            assert next(iter(job.tokens())) == " one"
        assert job.wait().status == "cancelled"
        job = client.generate(UNENDING)
        assert job.cancel().outcome == "cancelling"
        with pytest.raises(wsproc.JobCancelled):
            job.result()
        assert "SyncJob" in repr(job)


def test_ctrl_c_cancels_the_job_that_is_waited_for():
    """KeyboardInterrupt comes through at once, and the server is told."""
    engine = FakeEngine(answers=plausible)
    with client_of(engine) as client:
        job = client.generate(UNENDING)
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            job.result()
        timer.join()
        assert job.wait(timeout=20).status == "cancelled"


def test_map_gives_results_in_order_and_bounded():
    """Inputs are read in the caller's thread, no more than there is room for."""
    threads, read = set(), []

    def inputs():
        for n in itertools.count():
            threads.add(threading.current_thread())
            read.append(n)
            yield f"prompt {n}"

    with client_of() as client:
        results = client.map(inputs(), task="generate", concurrency=3)
        assert [next(results).prompt for _ in range(5)] == [f"prompt {n}" for n in range(5)]
        results.close()
        assert len(read) <= 8
        assert threads == {threading.current_thread()}


def test_map_as_completed_and_with_errors():
    """`ordered=False` tells the numbers by `enumerate`; errors may stand in for results."""
    with client_of() as client:
        inputs = [TEXT, "short", TEXT]
        pairs = client.map(inputs, ordered=False, return_exceptions=True).enumerate()
        found = dict(pairs)
        assert sorted(found) == [0, 1, 2]
        assert isinstance(found[1], wsproc.JobRejected)
        with pytest.raises(wsproc.JobRejected):
            list(client.map(inputs))
        with pytest.raises(ValueError, match="concurrency"):
            client.map([], concurrency=0)


def test_leaving_a_map_cancels_what_is_left():
    """Breaking out of the loop stops the jobs that still run."""
    with client_of() as client:
        for _ in client.map(["quick", *[UNENDING] * 3], task="generate"):
            break
        until = time.monotonic() + 20
        while any(job.state != "done" for job in client.jobs()):
            assert time.monotonic() < until


def test_a_closed_client_says_so():
    """After `close`, which may be repeated, every call is a clear error."""
    with address() as url:
        client = wsproc.sync.connect(url)
        job = client.generate(UNENDING)
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.ping()
        with pytest.raises(RuntimeError, match="closed"):
            job.result()
        with job:
            pass


def test_threads_may_share_a_client():
    """Several threads ask at once, and each gets its own result."""
    with client_of() as client:
        found: dict[int, str] = {}

        def ask(n: int) -> None:
            found[n] = client.generate(f"prompt {n}").result().prompt

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {n: f"prompt {n}" for n in range(8)}


async def test_it_works_where_a_loop_is_running():
    """As in a notebook: the caller's own loop is busy, and is not needed."""
    with address() as url, wsproc.connect_sync(url) as client:
        assert asyncio.get_running_loop().is_running()
        assert client.generate("Hello").result().text


def test_a_callback_that_calls_back_is_told():
    """Waiting for oneself would never end: it is an error instead."""
    faults = []

    def watch(state: ConnectionState) -> None:
        if state.phase == "closed":
            try:
                client.ping()
            except RuntimeError as fault:
                faults.append(str(fault))

    with address() as url:
        client = wsproc.connect_sync(url, on_state=watch)
        client.close()
    assert "callback" in faults[0]


def test_a_client_that_nobody_has_any_more_ends_its_thread():
    """Forgetting to close leaves no thread behind."""
    before = threading.active_count()
    with address() as url:
        client = wsproc.connect_sync(url)
        client.ping()
        del client
        gc.collect()
    assert threading.active_count() == before


def test_a_script_that_forgets_to_close_ends_by_itself():
    """An open client does not keep the program from ending."""
    script = (
        "import sys, wsproc\n"
        "client = wsproc.connect_sync(sys.argv[1])\n"
        "print(client.generate('Hello', max_tokens=1).result())\n"
    )
    with address() as url:
        command = [sys.executable, "-W", "error", "-c", script, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == " word0\n"
