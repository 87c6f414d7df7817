"""What may be asked of a server: its tasks as methods, with their fields and results typed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Any, Literal, Unpack, overload

from wsproc.client.errors import WsprocError
from wsproc.client.job import Job
from wsproc.client.mapping import (
    CONCURRENCY,
    MapInput,
    Mapper,
    Results,
    check_concurrency,
    run_all,
)
from wsproc.client.options import GenerateOptions, TextOptions
from wsproc.client.results import BatchResult, GenerateResult, ProcessResult
from wsproc.client.submission import Submission


class Tasks(ABC):
    """The tasks of a server; a client says how one is submitted."""

    def process(self, text: str, **options: Unpack[TextOptions]) -> Submission[ProcessResult]:
        """Submit a text whose results are streamed; awaiting it gives the accepted job.

            job = await client.process("It was lovely. It was good.", include_summary=False)
            async for event in job:
                print(event.type)  # status
            print((await job.result()).sentiment)  # POSITIVE

        Raises `JobRejected` when it is not, and `ConnectionLost`.
        """
        return self._submission("process", text=text, **options)

    @overload
    def batch(self, text: str, **options: Unpack[TextOptions]) -> Submission[ProcessResult]: ...
    @overload
    def batch(
        self, *, texts: Sequence[str], **options: Unpack[TextOptions]
    ) -> Submission[BatchResult]: ...
    def batch(
        self,
        text: str | None = None,
        *,
        texts: Sequence[str] | None = None,
        **options: Unpack[TextOptions],
    ) -> Submission[Any]:
        """Submit one text or several, answered at once at the end.

            batch = await client.batch(texts=["What a good day.", "What an awful day."]).result()
            print([one.sentiment for one in batch.results])  # ['POSITIVE', 'NEGATIVE']

        The result is that of `process` for one text, and a `BatchResult` for several.
        """
        given = {"text": text, "texts": None if texts is None else list(texts)}
        inputs = {name: value for name, value in given.items() if value is not None}
        return self._submission("batch", **inputs, **options)

    def generate(
        self, prompt: str, **options: Unpack[GenerateOptions]
    ) -> Submission[GenerateResult]:
        """Submit a prompt to be continued.

            async for token in client.generate("Once upon a time", max_tokens=20).tokens():
                print(token, end="")

        Raises what `process` raises.
        """
        return self._submission("generate", prompt=prompt, **options)

    def submit(self, task: str, /, **fields: Any) -> Submission:
        """Submit a job of any task that the server has; awaiting it gives the accepted job.

        `fields` go into the frame as they are; `id` is chosen here if not given. Raises
        `JobRejected`, `ConnectionLost`, and `ValueError` for fields that are no JSON. When the
        caller is cancelled while it waits, so is the job.
        """
        return self._submission(task, **fields)

    @overload
    def map(
        self,
        inputs: Iterable[MapInput] | AsyncIterable[MapInput],
        /,
        *,
        task: Literal["process", "batch"] = "process",
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
        **options: Unpack[TextOptions],
    ) -> Results[ProcessResult]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput] | AsyncIterable[MapInput],
        /,
        *,
        task: Literal["process", "batch"] = "process",
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[True],
        **options: Unpack[TextOptions],
    ) -> Results[ProcessResult | WsprocError]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput] | AsyncIterable[MapInput],
        /,
        *,
        task: Literal["generate"],
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[False] = False,
        **options: Unpack[GenerateOptions],
    ) -> Results[GenerateResult]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput] | AsyncIterable[MapInput],
        /,
        *,
        task: Literal["generate"],
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: Literal[True],
        **options: Unpack[GenerateOptions],
    ) -> Results[GenerateResult | WsprocError]: ...
    @overload
    def map(
        self,
        inputs: Iterable[MapInput] | AsyncIterable[MapInput],
        /,
        *,
        task: str,
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: bool = False,
        **options: Any,
    ) -> Results[Any]: ...
    def map(
        self,
        inputs: Iterable[MapInput] | AsyncIterable[MapInput],
        /,
        *,
        task: str = "process",
        concurrency: int = CONCURRENCY,
        ordered: bool = True,
        return_exceptions: bool = False,
        **options: Any,
    ) -> Results[Any]:
        """Run a job for each input, `concurrency` at once, and iterate over their results.

            async for result in client.map(texts, include_entities=True):
                print(result.sentiment)

        An input is a text (a prompt for `generate`) or a mapping of a job's fields, which go over
        `options`. `inputs` may be endless, and async: they are read one at a time, as there is
        room. Results come in the order of the inputs, or with `ordered=False` as they complete;
        `.enumerate()` then tells which is which. A job that fails raises, and ends the iteration;
        with `return_exceptions=True` its error takes the place of its result. Where the server is
        busy its `retry_after_ms` is waited for. Leaving the iteration cancels what is left.
        """
        check_concurrency(concurrency)
        mapper = Mapper(self, task, options)
        return Results(
            run_all(
                mapper.run,
                inputs,
                concurrency=concurrency,
                ordered=ordered,
                return_exceptions=return_exceptions,
            )
        )

    def _submission(self, task: str, /, **fields: Any) -> Submission[Any]:
        return Submission(self._submit(task, fields))

    @abstractmethod
    async def _submit(self, task: str, fields: dict[str, Any]) -> Job[Any]:
        """Send a submit and wait for its job."""
