"""The client for scripts and notebooks: the same calls without `await`.

    with wsproc.connect_sync() as client:
        print(client.process("The food was lovely.").result().sentiment)
        for token in client.generate("Once upon a time").tokens():
            print(token, end="")

Its connection lives in a thread of its own, so it works where an event loop is running already, as
in Jupyter. Ctrl-C, or a notebook's stop button, cancels the job that is being waited for.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, Unpack, overload

from typing_extensions import TypeVar

from wsproc.client.blocking_job import SyncJob
from wsproc.client.blocking_map import SyncResults, run_all_blocking
from wsproc.client.client import DEFAULT_URL, PURE_TASKS, Client
from wsproc.client.credential import TokenSource
from wsproc.client.errors import WsprocError
from wsproc.client.loop_thread import LoopThread
from wsproc.client.mapping import CONCURRENCY, MapInput, Mapper, check_concurrency
from wsproc.client.options import GenerateOptions, TextOptions
from wsproc.client.reconnect import Reconnect
from wsproc.client.results import BatchResult, GenerateResult, ProcessResult, Result
from wsproc.client.state import ConnectionState
from wsproc.client.submission import Submission
from wsproc.frames.server import CancelReply, JobInfo, Welcome

R_co = TypeVar("R_co", bound=Result, default=Result, covariant=True)
T = TypeVar("T")


def connect(
    url: str = DEFAULT_URL,
    *,
    token: TokenSource | None = None,
    reconnect: bool | Reconnect = True,
    resubmit: bool | Collection[str] = PURE_TASKS,
    session: str | None = None,
    on_state: Callable[[ConnectionState], None] | None = None,
    tap: Callable[[str], None] | None = None,
    open_timeout_s: float = 10.0,
    **socket_options: Any,
) -> SyncClient:
    """Connect to a server and return the blocking client; close it, or use it with `with`.

    Takes what `wsproc.connect` takes. `on_state`, `tap` and a token's function are called in the
    client's own thread and must not call the client. Raises `ConnectFailed`.
    """
    client = Client(
        url,
        token=token,
        reconnect=reconnect,
        resubmit=resubmit,
        session=session,
        on_state=on_state,
        tap=tap,
        open_timeout_s=open_timeout_s,
        **socket_options,
    )
    return SyncClient(client)


class SyncClient:
    """A connection to a wsproc server that blocks its caller; made by `wsproc.connect_sync`.

    Any number of threads may use it at once. One that is not closed is closed at the program's end.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._thread = LoopThread(farewell=client.close)
        self._finalizer = weakref.finalize(self, self._thread.stop)
        try:
            self._thread.call(client.open())
        except BaseException:
            self._finalizer()
            raise

    def __repr__(self) -> str:
        return repr(self._client).replace("<Client", "<SyncClient", 1)

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._client.state

    @property
    def welcome(self) -> Welcome:
        """What the server told of itself when the present connection was opened."""
        return self._client.welcome

    @property
    def session(self) -> str:
        """The secret by which the session is found again, see `connect`; as good as a password."""
        return self._client.session

    @property
    def adopted(self) -> dict[str, SyncJob]:
        """The jobs that were there when a `session` was taken up, by their ids."""
        jobs = self._client.adopted.items()
        return {name: SyncJob(job, self._thread) for name, job in jobs}

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the server cancels the jobs that are left. Safe to repeat."""
        self._finalizer()

    # --- jobs -----------------------------------------------------------------------------------

    def process(self, text: str, **options: Unpack[TextOptions]) -> SyncJob[ProcessResult]:
        """Submit a text whose results are streamed; see `Client.process`."""
        return self._job(self._client.process(text, **options))

    @overload
    def batch(self, text: str, **options: Unpack[TextOptions]) -> SyncJob[ProcessResult]: ...
    @overload
    def batch(
        self, *, texts: Sequence[str], **options: Unpack[TextOptions]
    ) -> SyncJob[BatchResult]: ...
    def batch(
        self,
        text: str | None = None,
        *,
        texts: Sequence[str] | None = None,
        **options: Unpack[TextOptions],
    ) -> SyncJob[Any]:
        """Submit one text or several, answered at once at the end; see `Client.batch`."""
        given: dict[str, Any] = {"text": text, "texts": texts}
        inputs = {name: value for name, value in given.items() if value is not None}
        return self._job(self._client.batch(**inputs, **options))

    def generate(self, prompt: str, **options: Unpack[GenerateOptions]) -> SyncJob[GenerateResult]:
        """Submit a prompt to be continued; see `Client.generate` and `SyncJob.tokens`."""
        return self._job(self._client.generate(prompt, **options))

    def submit(self, task: str, /, **fields: Any) -> SyncJob:
        """Submit a job of any task that the server has; see `Client.submit`."""
        return self._job(self._client.submit(task, **fields))

    def _job(self, submission: Submission[R_co]) -> SyncJob[R_co]:
        return SyncJob(self._thread.call(submission), self._thread)

    @overload
    def map(
        self,
        inputs: Iterable[MapInput],
        /,
        *,
        task: Literal["process", "batch"] = "process",
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
        **options: Unpack[TextOptions],
    ) -> SyncResults[ProcessResult]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput],
        /,
        *,
        task: Literal["process", "batch"] = "process",
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[True],
        **options: Unpack[TextOptions],
    ) -> SyncResults[ProcessResult | WsprocError]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput],
        /,
        *,
        task: Literal["generate"],
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
        **options: Unpack[GenerateOptions],
    ) -> SyncResults[GenerateResult]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput],
        /,
        *,
        task: Literal["generate"],
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[True],
        **options: Unpack[GenerateOptions],
    ) -> SyncResults[GenerateResult | WsprocError]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput],
        /,
        *,
        task: str,
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: bool = False,
        **options: Any,
    ) -> SyncResults[Any]: ...
    def map(
        self,
        inputs: Iterable[MapInput],
        /,
        *,
        task: str = "process",
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: bool = False,
        **options: Any,
    ) -> SyncResults[Any]:
        """Run a job for each input, so many at once, and iterate over their results.

        Takes what `Client.map` takes, but for async iterators. Inputs are read in the caller's
        thread, one at a time, as there is room for them.
        """
        check_concurrency(concurrency)
        mapper = Mapper(self._client, task, options)
        return SyncResults(
            run_all_blocking(
                self._thread,
                mapper.run,
                inputs,
                concurrency=concurrency,
                ordered=ordered,
                return_exceptions=return_exceptions,
            )
        )

    # --- questions ------------------------------------------------------------------------------

    def cancel(self, job_id: str) -> CancelReply:
        """Ask the server to stop a job of this connection by its id."""
        return self._thread.call(self._client.cancel(job_id))

    def cancel_all(self) -> CancelReply:
        """Ask the server to stop every job of this connection."""
        return self._thread.call(self._client.cancel_all())

    def jobs(self) -> list[JobInfo]:
        """Return the server's view of this session's jobs; see `Client.jobs`."""
        return self._thread.call(self._client.jobs())

    def ping(self) -> float:
        """Return how long a round trip to the server's session takes, in seconds."""
        return self._thread.call(self._client.ping())
