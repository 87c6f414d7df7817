"""TLS over real sockets."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.certificates import Certificate, self_made
from tests.fakes import FakeEngine, fake_server, plausible, serving
from tests.wire import connected
from wsproc.cli.panel import browser_address


@pytest.fixture
def old(tmp_path: Path) -> Certificate:
    """A certificate in files that may be overwritten."""
    return self_made(tmp_path, "old")


async def test_a_certificate_makes_it_wss(old: Certificate):
    """The address says so, and the console page's too."""
    tls = {"cert": old.cert, "key": old.key}
    async with serving(FakeEngine(answers=plausible), tls=tls) as server:
        assert server.url.startswith("wss://127.0.0.1:")
        assert browser_address(server.url).startswith("https://127.0.0.1:")
        async with connected(server, ssl=old.client_context()) as wire:
            await wire.send(type="generate", prompt="Once")
            assert (await wire.next("done"))["status"] == "completed"


async def test_a_client_that_speaks_no_tls_disturbs_nobody(old: Certificate):
    """It is cut off; the next one comes in."""
    async with serving(FakeEngine(), tls={"cert": old.cert, "key": old.key}) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        async with connected(server, ssl=old.client_context()):
            pass


async def test_half_a_tls_handshake_is_cut(old: Certificate):
    """After `open_timeout_s`, like half a request."""
    tls = {"cert": old.cert, "key": old.key}
    async with serving(FakeEngine(), tls=tls, open_timeout_s=0.2) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x16\x03\x01")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_sighup_renews_the_certificate_under_living_connections(
    old: Certificate, tmp_path: Path
):
    """The old connection goes on, the next one sees the new certificate; SIGTERM still ends it."""
    new = self_made(tmp_path, "new")
    tls = {"cert": old.cert, "key": old.key}
    server = fake_server(FakeEngine(answers=plausible), tls=tls)
    await server.start()
    ending = asyncio.create_task(server.run_until_signal())
    await asyncio.sleep(0)
    async with connected(server, ssl=old.client_context()) as wire:
        new.copy_to(old.cert, old.key)
        os.kill(os.getpid(), signal.SIGHUP)
        await _soon_trusted(server.url, new)
        assert not await _trusted(server.url, old)
        await wire.send(type="generate", prompt="Once")
        assert (await wire.next("done"))["status"] == "completed"
        os.kill(os.getpid(), signal.SIGTERM)
        assert await wire.closed() == 1012
    await ending


async def _soon_trusted(url: str, certificate: Certificate) -> None:
    """Connect until it works: a signal is acted upon a moment after it was sent."""
    async with asyncio.timeout(10):
        while not await _trusted(url, certificate):
            pass


async def _trusted(url: str, certificate: Certificate) -> bool:
    """Whether a client that trusts this certificate alone can connect."""
    try:
        async with connect(url, ssl=certificate.client_context()):
            return True
    except OSError:  # an untrusted certificate is one
        return False
