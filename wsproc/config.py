"""The server's settings, frozen, and the one place that reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsproc.engine import EngineConfig
from wsproc.frames.server import Limits


@dataclass(frozen=True)
class ServerConfig:
    """How a server listens and what it admits. Times end in `_s` and are seconds.

    `port` 0 lets the system choose; `origins` are allowed beside the server's own (exact matches,
    such as `https://example.org`, or `null` for pages from files).
    """

    host: str = "127.0.0.1"
    port: int = 8765
    origins: tuple[str, ...] = ()
    max_frame_bytes: int = 256 * 1024
    max_text_chars: int = 5000
    max_texts: int = 64
    max_tokens: int = 1024
    max_jobs_per_connection: int = 256
    max_jobs: int = 4096
    max_connections: int = 5000
    outbox_bytes: int = 1 << 20
    heartbeat_s: float = 15.0
    send_timeout_s: float = 15.0
    open_timeout_s: float = 5.0
    drain_s: float = 5.0
    engine: EngineConfig = field(default_factory=EngineConfig)

    def limits(self) -> Limits:
        """Return what `welcome` tells of these settings."""
        return Limits(
            max_frame_bytes=self.max_frame_bytes,
            max_text_chars=self.max_text_chars,
            max_texts=self.max_texts,
            max_jobs=self.max_jobs_per_connection,
            max_tokens=self.max_tokens,
        )
