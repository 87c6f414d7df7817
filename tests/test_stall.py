"""How long a peer may read nothing: told by the write buffer and not by the time of a send."""

import asyncio
import socket
import time

import pytest

from wsproc.stall import LOOKS, Backlog, Patience, undelivered


class Transport:
    """A write buffer in the hands of a test."""

    def __init__(self, size: int) -> None:
        self.size = size

    def get_write_buffer_size(self) -> int:
        """Return how much is not written."""
        return self.size

    def get_extra_info(self, name: str) -> None:
        """There is no socket."""


def patience(transport: Transport, limit_s: float = 0.06) -> Patience:
    """Return a watch over a transport."""
    return Patience(transport, limit_s)  # type: ignore[arg-type]


async def test_a_buffer_that_stands_still_ends_the_send():
    """After so long, and not before."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with patience(Transport(1000)):
            await asyncio.Event().wait()
    assert loop.time() - began >= 0.06


async def test_a_buffer_that_shrinks_may_take_as_long_as_it_likes():
    """A large frame on a slow line."""
    transport = Transport(30)

    async def send_slowly() -> None:
        while transport.size:
            transport.size -= 1
            await asyncio.sleep(0.06 / LOOKS)

    async with patience(transport):
        await send_slowly()


async def test_sends_that_are_done_count_as_progress():
    """A buffer that is filled again as fast as it empties looks as if it stood still."""
    async with patience(Transport(1000)) as watch:
        for _ in range(3 * LOOKS):
            await asyncio.sleep(0.06 / LOOKS)
            watch.progress()


async def test_a_loop_that_stood_still_says_nothing_of_the_peer():
    """A process that was stopped for longer than the limit cuts nobody when it goes on."""
    async with patience(Transport(1000)) as watch:
        for _ in range(3):
            time.sleep(0.1)  # noqa: ASYNC251  # it is to stand still
            await asyncio.sleep(0)
        watch.progress()


async def test_a_burst_that_was_quick_leaves_nothing_behind():
    """No timer, and nothing to lose any more; the watch may be used again."""
    watch = patience(Transport(0))
    for _ in range(3):
        async with watch:
            await asyncio.sleep(0)
    watch.lose()
    await asyncio.sleep(0.1)


async def test_patience_may_be_lost_from_outside():
    """When the session has gone to a newer connection."""
    watch = patience(Transport(1000), limit_s=60)
    asyncio.get_running_loop().call_soon(watch.lose)
    with pytest.raises(TimeoutError):
        async with watch:
            await asyncio.Event().wait()


async def test_what_is_raised_inside_comes_out():
    """As if nobody had watched."""
    with pytest.raises(ValueError, match="no"):
        async with patience(Transport(0)):
            raise ValueError("no")


# --- what no send waits for -----------------------------------------------------------------------


async def ended(transport: Transport, written: int) -> bool:
    """Return what a watch over a backlog comes to: whether it stood still."""
    told = asyncio.get_running_loop().create_future()
    Backlog(transport, 0.06, told.set_result).add(written)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        return await told


async def test_a_backlog_that_stands_still_is_told():
    """After so long, and not before."""
    began = asyncio.get_running_loop().time()
    assert await ended(Transport(1000), 5000)
    assert asyncio.get_running_loop().time() - began >= 0.06


async def test_a_backlog_that_is_delivered_is_told_too():
    """There is nothing to watch then."""
    assert not await ended(Transport(0), 5000)


async def test_what_is_added_to_a_backlog_is_no_progress():
    """A peer that takes nothing is found out, however steadily more is written."""
    transport, told = Transport(0), asyncio.Event()
    backlog = Backlog(transport, 0.06, lambda stalled: stalled and told.set())  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        while not told.is_set():
            transport.size += 10
            backlog.add(10)
            await asyncio.sleep(0.06 / LOOKS)


async def test_the_same_backlog_may_be_another_one():
    """What is added as fast as it is taken leaves its size as it is, and is progress."""
    transport, ends = Transport(100), []
    backlog = Backlog(transport, 0.06, ends.append)  # type: ignore[arg-type]
    backlog.add(100)
    for _ in range(3 * LOOKS):
        backlog.add(10)
        await asyncio.sleep(0.06 / LOOKS)
    assert ends == []
    backlog.stop()


async def test_a_loop_that_stood_still_says_nothing_of_a_backlog():
    """What was delivered meanwhile could not be seen."""
    transport, ends = Transport(100), []
    backlog = Backlog(transport, 0.06, ends.append)  # type: ignore[arg-type]
    backlog.add(100)
    for _ in range(3):
        time.sleep(0.1)  # noqa: ASYNC251  # it is to stand still
        await asyncio.sleep(0)
    assert ends == []
    backlog.stop()


async def test_what_the_kernel_holds_is_not_delivered():
    """A peer's kernel takes little for a process that reads nothing."""
    arrived: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda _, writer: arrived.put_nowait(writer), "127.0.0.1", 0
    )
    async with server:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(server.sockets[0].getsockname())
            writer = await arrived.get()
            writer.write(b"x" * 50_000)
            assert undelivered(writer.transport) > 40_000
            assert writer.transport.get_write_buffer_size() == 0
            writer.transport.abort()
            await writer.wait_closed()
            assert undelivered(writer.transport) == 0
