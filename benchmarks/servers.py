"""The servers: how each is started, put to sleep while another is measured, and asked."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.load import HOST, ChunkSession, Session, StreamSession, WebSocketSession
from benchmarks.peers import counting
from benchmarks.peers.counting import Counts
from benchmarks.stats import metrics, summed

ROOT = Path(__file__).parent.parent
OURS = {"wsproc": [], "wsproc32": ["--dtype", "float32"]}
PLAIN = ("plain", "bare")
BATCHING = ("lit-chunk", "lit-stream", "lit-loop", "ray")
TITLES = {
    "plain": "plain endpoint",
    "bare": "plain endpoint, bare model, one thread",
    "lit-chunk": "LitServe, a chunk a request",
    "lit-stream": "LitServe, streaming",
    "lit-loop": "LitServe, continuous loop",
    "ray": "Ray Serve, `@serve.batch`",
    "wsproc": "wsproc, as it ships",
    "wsproc32": "wsproc, float32",
}
_START_S = 180.0


@dataclass
class Server:
    """One server on a port of its own, in processes of its own."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    log: Path
    counts: Path
    process: subprocess.Popen[bytes] | None = None
    _family: list[psutil.Process] = field(default_factory=list)

    @property
    def ours(self) -> bool:
        """Whether it is wsproc."""
        return self.name in OURS

    async def open(self) -> Session:
        """Return a new client."""
        if self.ours:
            return await WebSocketSession.open(self.port)
        kind = ChunkSession if self.name == "lit-chunk" else StreamSession
        return await kind.open(self.port)

    def start(self) -> None:
        """Start it and return when it is ready."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the runner, which ends its servers
            )
        self._wait()
        parent = psutil.Process(self.process.pid)
        self._family = [parent, *parent.children(recursive=True)]

    def _wait(self) -> None:
        assert self.process is not None
        url = f"http://{HOST}:{self.port}/{'readyz' if self.ours else 'health'}"
        until = time.monotonic() + _START_S
        while self.process.poll() is None and time.monotonic() < until:
            with suppress(OSError):
                urllib.request.urlopen(url, timeout=5).close()
                return
            time.sleep(0.2)
        raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")

    def sleep(self) -> None:
        """Stop all of its processes, since some of these servers use the CPU while they idle."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self._family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def end(self) -> None:
        """End it and what it started."""
        if self.process is None:
            return
        self.wake()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def metrics(self) -> dict[str, float]:
        """Return the metrics of wsproc."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/metrics") as answer:
            return metrics(answer.read().decode())

    def counted(self) -> Counts:
        """Return what the model has computed so far; of wsproc as far as its metrics tell."""
        if not self.ours:
            return counting.read(self.counts)
        samples = self.metrics()
        return Counts(*(int(value) for value in _engine(samples)))


def _engine(samples: Mapping[str, float]) -> Iterator[float]:
    """Yield the first fields of `Counts` from wsproc's metrics."""
    stage = 'stage="sentiment"'
    useful = summed(samples, "wsproc_engine_tokens_total", stage, 'of="text"')
    padding = summed(samples, "wsproc_engine_tokens_total", stage, 'of="padding"')
    yield summed(samples, "wsproc_engine_step_seconds_count", stage)
    yield summed(samples, "wsproc_engine_step_rows_total", stage)
    yield useful
    yield useful + padding
    yield 1e9 * summed(samples, "wsproc_engine_step_seconds_sum", stage)


@contextmanager
def running(
    names: Sequence[str], *, model: str, workers: int, wsproc: str, logs: Path
) -> Iterator[list[Server]]:
    """Start the servers one after the other, each put to sleep when it is ready; yield them."""
    counts = Path(tempfile.mkdtemp(prefix="bench-counts-"))
    servers = [_server(name, model, workers, wsproc, logs, counts) for name in names]
    try:
        for server in servers:
            print(f"starting {server.name}", file=sys.stderr, flush=True)
            server.start()
            server.sleep()
        yield servers
    finally:
        for server in servers:
            server.end()
        shutil.rmtree(counts)


def _server(name: str, model: str, workers: int, wsproc: str, logs: Path, counts: Path) -> Server:
    port = free_port()
    folder = counts / name
    folder.mkdir()
    environment = {"BENCH_COUNTS": str(folder), "PEER_MODEL": model}
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "PEER_BARE": "1" if name == "bare" else ""}
    if name == "bare":  # with torch's own number where the pipeline is
        environment |= {"PEER_THREADS": "1"}
    if name in BATCHING:
        threads = max(1, (os.cpu_count() or 1) // workers)
        environment |= {"PEER_WORKERS": str(workers), "PEER_THREADS": str(threads)}
    command = _command(name, port, model, wsproc)
    return Server(name, command, environment, port, logs / f"{name}.log", folder)


def _command(name: str, port: int, model: str, wsproc: str) -> list[str]:
    python = [sys.executable, "-m"]
    if name in OURS:
        return [wsproc, "serve", "--port", str(port), "--sentiment", model, *OURS[name]]
    if name in PLAIN:
        quiet = ["--log-level", "warning"]
        return [*python, "uvicorn", "benchmarks.peers.plain:app", "--port", str(port), *quiet]
    if name == "ray":
        return [*python, "benchmarks.peers.ray_app", str(port)]
    return [*python, "benchmarks.peers.litserve_app", name.removeprefix("lit-"), str(port)]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Offline:
    """The ideal loop, in one process with torch's own threads and in one process a core."""

    VARIANTS = tuple(
        f"{processes}, {batch}"
        for processes in ("one process", "a process a core")
        for batch in ("rows 32", "tokens 2048", "tokens 4096")
    )

    def __init__(self, model: str, least: int, most: int, repeats: int) -> None:
        cores = os.cpu_count() or 1
        environment = {**os.environ, "PEER_MODEL": model}
        alone = [_offline(environment, 0, 1, least, most, repeats)]
        many = {**environment, "PEER_THREADS": "1", "OMP_NUM_THREADS": "1"}
        each = [_offline(many, share, cores, least, most, repeats) for share in range(cores)]
        self._teams = {"one process": alone, "a process a core": each}
        for team in self._teams.values():
            for process in team:
                _ask_line(process)

    def measure(self, variant: str, seconds: float) -> float:
        """Return the chunks a second of one variant."""
        processes, batch = variant.split(", ")
        team = self._teams[processes]
        for process in team:
            assert process.stdin is not None
            process.stdin.write(f"{batch} {seconds}\n")
            process.stdin.flush()
        return sum(float(_ask_line(process)) for process in team)

    def end(self) -> None:
        """End the processes."""
        for team in self._teams.values():
            for process in team:
                process.terminate()
                process.wait()


def _offline(environment: Mapping[str, str], *numbers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.offline", *map(str, numbers)],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _ask_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise RuntimeError("the offline loop ended")
    return line
