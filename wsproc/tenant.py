"""A principal as its sessions know it: what it may submit, how many jobs it has in all. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from wsproc.frames.errors import ErrorCode, ErrorInfo, error_info
from wsproc.quota import Quota


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose session it is. `tasks` are those that may be submitted, None for all; `jobs` is shared
    by all sessions of all principals. The principal without a name is everybody on a server that
    asks for no token.
    """

    principal: str = ""
    tasks: frozenset[str] | None = None
    jobs: Quota = field(default_factory=lambda: Quota(0))

    def forbids(self, task: str) -> ErrorInfo | None:
        """Return why a task may not be submitted at all; None where it may."""
        if self.tasks is None or task in self.tasks:
            return None
        may = ", ".join(sorted(self.tasks)) or "nothing"
        message = f"you may not submit {task}; you may submit {may}"
        return error_info(ErrorCode.FORBIDDEN, message, path="type")

    def too_many(self) -> str | None:
        """Return in words why no further job may be submitted now; None where one may."""
        if not self.jobs.full(self.principal):
            return None
        return f"{self.jobs.most} jobs of yours are running in all; wait for one to end"

    def take(self) -> None:
        """Count a job that was accepted."""
        self.jobs.take(self.principal)

    def give_back(self) -> None:
        """Count a job that is over."""
        self.jobs.give_back(self.principal)


class Tenants:
    """Makes tenants. Each may have `max_jobs` jobs, 0 for no limit; `tasks_of` says what it may
    submit, None for everything.
    """

    def __init__(
        self,
        max_jobs: int = 0,
        tasks_of: Callable[[str], frozenset[str] | None] = lambda principal: None,
    ) -> None:
        self._jobs = Quota(max_jobs)
        self._tasks_of = tasks_of
        self._nobody = Tenant(jobs=self._jobs)

    def __repr__(self) -> str:
        return f"<Tenants {self._jobs!r}>"

    def of(self, principal: str) -> Tenant:
        """Return what a session of a principal is to know; nobody in particular may do all."""
        if not principal:
            return self._nobody
        return Tenant(principal, self._tasks_of(principal), self._jobs)


__all__ = ["Tenant", "Tenants"]
