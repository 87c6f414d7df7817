"""The server's settings, frozen, and the one place that reads the environment.

A setting is one line here, or in `engine/config.py` for the engine: its name, type, default, and a
`Setting` with its help, its bounds and its panel; `setting.py` says what comes of it by itself, and
`python docs/tables.py` puts it into the table of docs/operations.md.
Wrong values raise pydantic's ValidationError, in code too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from wsproc.auth.config import AuthConfig
from wsproc.engine import EngineConfig
from wsproc.frames.server import Limits
from wsproc.setting import Setting
from wsproc.tls import TlsConfig

PREFIX = "WSPROC_"
"""What the variables of the environment begin with."""

HTTP = "Plain HTTP"
LIMITS = "Limits"
TIMES = "Times, in seconds"
OWN = "Tasks and stages of your own"

_STRICT = ConfigDict(extra="forbid", validate_default=True, hide_input_in_errors=True)


@dataclass(frozen=True, config=_STRICT)
class ServerConfig:
    """How a server listens and what it admits. Times end in `_s` and are seconds."""

    host: Annotated[str, Setting("The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Setting("The port; 0 takes a free one.", least=0, most=65535)] = 8765
    http_host: Annotated[
        str | None,
        Setting("The address of the HTTP face.", HTTP, unset="the same as --host"),
    ] = None
    http_port: Annotated[
        int | None,
        Setting(
            "Answer plain HTTP too, on this port, for curl and the like; 0 takes a free one."
            " Needs the extra wsproc[http].",
            HTTP,
            least=0,
            most=65535,
            unset="none",
        ),
    ] = None
    origins: Annotated[
        tuple[str, ...],
        Setting(
            "Let pages of this origin connect, such as https://example.org, or null for pages"
            " opened from files; may be repeated. The server's own pages always may.",
            flag="--origin",
        ),
    ] = ()
    host_names: Annotated[
        tuple[str, ...],
        Setting(
            "Answer to this name of the server only, such as wsproc.example.org, and to addresses;"
            " may be repeated. A server on loopback answers to loopback names only.",
            flag="--host-name",
        ),
    ] = ()
    max_frame_bytes: Annotated[int, Setting("Bytes of one message in.", LIMITS, least=1000)] = (
        256 * 1024
    )
    max_text_chars: Annotated[int, Setting("Characters of one text.", LIMITS, least=10)] = 5000
    max_texts: Annotated[int, Setting("Texts of one batch.", LIMITS, least=1)] = 64
    max_batch_chars: Annotated[
        int, Setting("Characters of all texts of one batch.", LIMITS, least=10)
    ] = 256 * 1024
    max_tokens: Annotated[int, Setting("Generated tokens of one job.", LIMITS, least=1)] = 1024
    max_jobs_per_connection: Annotated[
        int, Setting("Jobs of one connection at a time.", LIMITS, least=1)
    ] = 256
    max_jobs: Annotated[int, Setting("Jobs in all at a time.", LIMITS, least=1)] = 4096
    max_queue_s: Annotated[
        float,
        Setting(
            "Refuse jobs that would wait longer than so many seconds; 0: none.", LIMITS, least=0
        ),
    ] = 60.0
    max_connections: Annotated[int, Setting("Connections in all.", LIMITS, least=1)] = 20_000
    max_connections_per_address: Annotated[
        int,
        Setting(
            "Connections from one IPv4 address or IPv6 /64; 0: no limit. Loopback has none.",
            LIMITS,
            least=0,
        ),
    ] = 1000
    messages_per_s: Annotated[
        float, Setting("Messages that one connection may send; 0: no limit.", LIMITS, least=0)
    ] = 2000.0
    message_burst: Annotated[
        int, Setting("Messages that it may send at once.", LIMITS, least=1)
    ] = 4000
    max_jobs_per_principal: Annotated[
        int, Setting("Jobs of one token's owner at a time; 0 is no limit.", LIMITS, least=0)
    ] = 0
    max_connections_per_principal: Annotated[
        int, Setting("Connections of one token's owner; 0 is no limit.", LIMITS, least=0)
    ] = 0
    outbox_bytes: Annotated[
        int,
        Setting("Bytes that wait for one slow reader before its jobs pause.", LIMITS, least=1000),
    ] = 1 << 20
    replay_bytes: Annotated[
        int, Setting("Bytes of frames kept for one client's return.", LIMITS, least=1 << 16)
    ] = 8 << 20
    replay_total_bytes: Annotated[
        int, Setting("Bytes of frames kept for all of them.", LIMITS, least=1 << 20)
    ] = 256 << 20
    max_detached_sessions: Annotated[
        int, Setting("Sessions that wait for their client's return.", LIMITS, least=0)
    ] = 5000
    heartbeat_s: Annotated[float, Setting("Between heartbeats when idle.", TIMES, least=0.01)] = (
        15.0
    )
    input_timeout_s: Annotated[
        float, Setting("For the next input of an open job, or it fails.", TIMES, least=0.01)
    ] = 60.0
    send_timeout_s: Annotated[
        float, Setting("A client that reads nothing for so long is cut off.", TIMES, least=0.01)
    ] = 15.0
    open_timeout_s: Annotated[float, Setting("For the handshake.", TIMES, least=0.01)] = 5.0
    probe_s: Annotated[
        float,
        Setting("An idle worker is tried after so long; 0 tries none.", TIMES, least=0),
    ] = 5.0
    probe_timeout_s: Annotated[
        float,
        Setting(
            "A worker that was tried is not healthy if it finished nothing for so long.",
            TIMES,
            least=0.01,
        ),
    ] = 15.0
    drain_s: Annotated[
        float, Setting("That jobs have to end by themselves at a shutdown.", TIMES, least=0)
    ] = 5.0
    grace_s: Annotated[
        float, Setting("For delivering and closing, once jobs were stopped.", TIMES, least=0)
    ] = 5.0
    resume_s: Annotated[
        float, Setting("That the jobs of a lost client wait for its return.", TIMES, least=0)
    ] = 30.0
    result_ttl_s: Annotated[
        float, Setting("That the frames of an ended job are kept.", TIMES, least=0)
    ] = 300.0
    auth: AuthConfig = field(default_factory=AuthConfig)
    tls: TlsConfig = field(default_factory=TlsConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)

    def limits(self) -> Limits:
        """Return what `welcome` tells of these settings."""
        return Limits(
            max_frame_bytes=self.max_frame_bytes,
            max_text_chars=self.max_text_chars,
            max_texts=self.max_texts,
            max_jobs=self.max_jobs_per_connection,
            max_tokens=self.max_tokens,
            max_batch_chars=self.max_batch_chars,
            max_messages_per_s=self.messages_per_s,
            input_timeout_s=self.input_timeout_s,
        )


@dataclass(frozen=True, config=_STRICT)
class ServeConfig(ServerConfig):
    """The settings of `wsproc serve`: a server's, and those of the process around it."""

    tasks: Annotated[
        tuple[str, ...],
        Setting(
            "Call this with the task registry, to add tasks that you wrote; may be repeated.",
            OWN,
            metavar="MODULE:FUNCTION",
        ),
    ] = ()
    otel: Annotated[
        bool,
        Setting(
            "Send a span for each job over OTLP; the standard OTEL_ variables say where. Needs"
            " the extra wsproc[otel]."
        ),
    ] = False
    log_level: Annotated[
        Literal["auto", "debug", "info", "warning", "error"],
        Setting("What is logged; auto is warning on a terminal, else info."),
    ] = "auto"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Setting("How lines of the log look; auto is console on a terminal, else json."),
    ] = "auto"


def environment() -> Mapping[str, str]:
    """Return the variables that are meant for wsproc."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
