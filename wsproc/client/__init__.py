"""The Python client: many jobs on one connection, each streamed and cancellable.

    async with connect("ws://127.0.0.1:8765") as client:
        job = await client.process("The food was lovely, the bill was not.", include_summary=False)
        async for event in job:
            print(event)
        print(await job.result())

A connection that is lost is made again, and the jobs go on. Importing this loads no model library.
"""

from wsproc.client.blocking import SyncClient
from wsproc.client.blocking import connect as connect_sync
from wsproc.client.blocking_job import SyncJob
from wsproc.client.client import DEFAULT_URL, PURE_TASKS, Client, connect
from wsproc.client.errors import (
    ConnectFailed,
    ConnectionLost,
    InputRefused,
    JobCancelled,
    JobFailed,
    JobLost,
    JobRejected,
    ProtocolError,
    SessionLost,
    Unauthorized,
    WsprocError,
)
from wsproc.client.job import Ended, Job
from wsproc.client.mapping import Results
from wsproc.client.options import GenerateOptions, JobOptions, TextOptions
from wsproc.client.reconnect import Reconnect
from wsproc.client.results import (
    BatchResult,
    Chunk,
    Entity,
    GenerateResult,
    ProcessResult,
    Result,
)
from wsproc.client.state import ConnectionState
from wsproc.client.submission import Submission

__all__ = [
    "DEFAULT_URL",
    "PURE_TASKS",
    "BatchResult",
    "Chunk",
    "Client",
    "ConnectFailed",
    "ConnectionLost",
    "ConnectionState",
    "Ended",
    "Entity",
    "GenerateOptions",
    "GenerateResult",
    "InputRefused",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobLost",
    "JobOptions",
    "JobRejected",
    "ProcessResult",
    "ProtocolError",
    "Reconnect",
    "Result",
    "Results",
    "SessionLost",
    "Submission",
    "SyncClient",
    "SyncJob",
    "TextOptions",
    "Unauthorized",
    "WsprocError",
    "connect",
    "connect_sync",
]
