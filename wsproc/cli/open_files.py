"""How many files this process may have open: each connection is one."""

from __future__ import annotations

SPARE = 256
"""Files beside the connections: libraries, pipes to the workers, sockets that are being refused."""


def allow_files(connections: int) -> int | None:
    """Raise this process's own limit of open files, where it is lower, for so many connections.

    It goes up to what the system's hard limit allows and returns the limit that then holds; None
    where there is none to ask for. Shells set it to 1024, whatever the machine could do.
    """
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
    except ImportError:  # not on Windows
        return None
    soft, hard = getrlimit(RLIMIT_NOFILE)
    wanted = connections + SPARE
    if hard != RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != RLIM_INFINITY and soft < wanted:
        setrlimit(RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return None if soft == RLIM_INFINITY else soft
