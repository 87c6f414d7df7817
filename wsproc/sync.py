"""The blocking client under short names: `wsproc.sync.connect`, `wsproc.sync.Client`, `.Job`."""

from wsproc.client.blocking import SyncClient as Client
from wsproc.client.blocking import connect
from wsproc.client.blocking_job import SyncJob as Job
from wsproc.client.blocking_map import SyncResults as Results

__all__ = ["Client", "Job", "Results", "connect"]
