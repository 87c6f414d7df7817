"""The Python client: many jobs on one connection, each streamed and cancellable.

    async with connect("ws://127.0.0.1:8765") as client:
        job = await client.process("The food was lovely, the bill was not.", include_summary=False)
        async for event in job:
            print(event)
        print(await job.result())

Importing this loads no model library.
"""

from wsproc.client.client import DEFAULT_URL, Client, connect
from wsproc.client.errors import (
    ConnectFailed,
    ConnectionLost,
    JobCancelled,
    JobFailed,
    JobLost,
    JobRejected,
    ProtocolError,
    WsprocError,
)
from wsproc.client.job import Ended, Job
from wsproc.client.options import GenerateOptions, JobOptions, TextOptions

__all__ = [
    "DEFAULT_URL",
    "Client",
    "ConnectFailed",
    "ConnectionLost",
    "Ended",
    "GenerateOptions",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobLost",
    "JobOptions",
    "JobRejected",
    "ProtocolError",
    "TextOptions",
    "WsprocError",
    "connect",
]
