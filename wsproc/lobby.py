"""Where sessions are made, found again and let go of."""

from __future__ import annotations

import secrets

from wsproc.admission import Admission
from wsproc.config import ServerConfig
from wsproc.events import ResumeAnswered
from wsproc.host import Host, Link
from wsproc.outbox import Outbox
from wsproc.replay import ReplayBudget, ReplayLog
from wsproc.session import Offer, Session, TakeUp
from wsproc.sessions import Sessions
from wsproc.tasks import TaskRegistry
from wsproc.tasks.context import Caller
from wsproc.tenant import Tenants


class Lobby:
    """The sessions of one server and what they share."""

    def __init__(
        self,
        offer: Offer,
        admission: Admission,
        engine: Caller,
        registry: TaskRegistry,
        config: ServerConfig,
        tenants: Tenants | None = None,
    ) -> None:
        self.sessions: Sessions[Host] = Sessions(offer.epoch, config.max_detached_sessions)
        self.budget = ReplayBudget(config.replay_total_bytes)
        self._offer = offer
        self._admission = admission
        self._engine = engine
        self._registry = registry
        self._config = config
        self._tenants = tenants or Tenants()

    def __repr__(self) -> str:
        return f"<Lobby {self.sessions!r}, {self.budget!r}>"

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait to be sent, for all sessions."""
        return sum(host.session.outbox.size for host in self.sessions)

    def open(self, link: Link, principal: str = "") -> Host:
        """Make a session for a new connection and greet it."""
        token = self.sessions.token(secrets.token_urlsafe(24))
        session = Session(
            token,
            self._offer,
            self._admission,
            Outbox(self._config.outbox_bytes),
            ReplayLog(self._config.replay_bytes, self.budget),
            self._tenants.of(principal),
        )
        host = Host(session, self._engine, self._registry, on_over=self._forget)
        self.sessions.add(token, host, principal)
        host.attach(link)
        session.greet()
        return host

    def take_up(self, host: Host, link: Link, wanted: TakeUp) -> Host:
        """Give a connection the session that it wants; return its host, or `host` where that is
        not to be had. The session that the connection had until now, which has no job, is dropped.
        """
        found = self.sessions.find(wanted.token, self.sessions.principal(host.session.token))
        if not isinstance(found, Host):
            host.session.refuse_resume(found)
            self._offer.tell(ResumeAnswered(found))
            return host
        answers = host.session.outbox.take_control()
        self.sessions.drop(host.session.token)
        self.sessions.attach(wanted.token)
        found.attach(link)
        found.session.resume(wanted.after, answers=answers)
        self._offer.tell(ResumeAnswered("ok", found.session.label))
        return found

    def leave(self, host: Host, link: Link, *, clean: bool) -> None:
        """Note that a connection is gone; its session waits for another one."""
        if host.detach(link, clean=clean):
            session = host.session
            for other in self.sessions.detach(session.token, vacant=session.vacant):
                other.abandon()

    def _forget(self, host: Host) -> None:
        self.sessions.drop(host.session.token)
