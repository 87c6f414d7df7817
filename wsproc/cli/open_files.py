"""How many files this process may have open: each connection is one."""

from __future__ import annotations

SPARE = 256
"""Files beside the connections: libraries, pipes to the workers, sockets that are being refused."""


def most_files() -> int | None:
    """Return how many files this process may allow itself; None where there is no limit."""
    limits = _limits()
    return None if limits is None else limits[1]


def allow_files(connections: int) -> int | None:
    """Raise this process's own limit of open files, where it is lower, for so many connections.

    It goes up to what the system's hard limit allows and returns the limit that then holds; None
    where there is none to ask for. Shells set it to 1024, whatever the machine could do.
    """
    soft, hard = _limits() or (None, None)
    if soft is None:
        return None
    wanted = connections + SPARE if hard is None else min(connections + SPARE, hard)
    if soft < wanted:
        import resource

        ceiling = resource.RLIM_INFINITY if hard is None else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, ceiling))
    return max(soft, wanted)


def _limits() -> tuple[int | None, int | None] | None:
    """Return the limit that holds and the most that it may be raised to; None of either is none.

    None alone stands for a system without such limits (Windows).
    """
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:
        return None
    soft, hard = (None if one == RLIM_INFINITY else one for one in getrlimit(RLIMIT_NOFILE))
    return soft, hard
