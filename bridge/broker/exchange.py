"""Exchange: the sessions, subscriptions and retained messages of all clients, and what passes between them.

Nothing here waits: a message is written, queued or dropped for each receiver before `route` returns.
"""

from collections.abc import Callable

from bridge.broker.core.counters import Counters
from bridge.broker.core.letters import Letter
from bridge.broker.core.presence import Attendance, Presence
from bridge.broker.core.retained import Retained
from bridge.broker.core.session import Bounds, Session
from bridge.broker.core.subscriptions import Subscriptions
from bridge.broker.line import Outlet
from bridge.broker.notices import Notices
from bridge.broker.port import Audience, Receipt
from bridge.words.principal import Principal, Role
from bridge.words.settings import Mqtt

REFUSED = 0x80  # SUBACK

_QUEUED_PACKETS = 64  # largest packets that may wait in one session
_RECEIVED_PACKETS = 4  # largest packets a client may leave unreleased at QoS 2

Key = tuple[str, Role, str | None, str]


class Exchange:
    """`clock` gives epoch seconds, `monotonic` what bounds and expiry are measured by."""

    def __init__(
        self,
        settings: Mqtt,
        counters: Counters,
        notices: Notices,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.sessions: dict[Key, Session] = {}
        self.subscriptions: Subscriptions[Session] = Subscriptions()
        self.retained = Retained(settings.max_retained)
        self._attendance = Attendance()
        self._settings = settings
        self._counters = counters
        self._notices = notices
        self._clock = clock
        self._monotonic = monotonic
        self._bounds = _bounds(settings, settings.max_packet)
        self._feed_bounds = _bounds(settings, settings.max_packet_feed)

    def has_room(self, principal: Principal, client_id: str) -> bool:
        """Say whether this client may have a session."""
        return len(self.sessions) < self._settings.max_sessions or key(principal, client_id) in self.sessions

    def enter(self, principal: Principal, client_id: str, outlet: Outlet, *, clean: bool) -> tuple[Session, bool]:
        """Give a client that logged in its session; say whether it is an earlier one. Ends an older connection."""
        if principal.role is Role.DESKTOP:
            # Counted before the older connection is taken back, so that a take-over changes nothing.
            self._attendance.came(principal.customer, principal.agent or "")
        name = key(principal, client_id)
        before = self.sessions.get(name)
        if before is not None and before.outlet is not None:
            self._counters.taken_over += 1
            before.outlet.taken_over()
            before = self.sessions.get(name)
        if before is not None and (clean or before.clean):
            self._drop(before)
            before = None
        if before is None:
            bounds = self._feed_bounds if principal.role is Role.FEED else self._bounds
            session = self.sessions[name] = Session(principal, client_id, bounds, self._counters, clean=clean)
        else:
            session = before
            session.principal = principal
        session.outlet = outlet
        self._tell_presence(principal)
        return session, before is not None

    def presence(self, customer: str, agent: str) -> Presence | None:
        """Give an agent's presence."""
        return self._attendance.of(customer, agent)

    def leave(self, session: Session) -> int:
        """Take leave of a session's connection; return how many desktops of the same agent are still connected."""
        session.suspend()
        if session.clean:
            self._drop(session)
        else:
            session.left_at = self._monotonic()
        principal = session.principal
        if principal.role is not Role.DESKTOP:
            return 0
        remaining = self._attendance.went(principal.customer, principal.agent or "")
        self._tell_presence(principal)
        return remaining

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> int:
        """Add a filter, or change its QoS; return the code for SUBACK."""
        if topic_filter not in session.filters and len(session.filters) >= self._settings.max_subscriptions:
            self._counters.subscriptions_refused += 1
            self._notices.warn(
                "subscriptions",
                f"a client asked for more than {self._settings.max_subscriptions} filters (mqtt.max_subscriptions)",
                self._monotonic(),
            )
            return REFUSED
        session.filters[topic_filter] = qos
        self.subscriptions.add(topic_filter, session, qos)
        return qos

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Remove a filter."""
        if session.filters.pop(topic_filter, None) is not None:
            self.subscriptions.remove(topic_filter, session)

    def retain(self, topic: str, payload: bytes, qos: int) -> None:
        """Keep a message for later subscribers."""
        if not self.retained.keep(topic, payload, qos):
            self._counters.dropped_retained_full += 1
            self._notices.warn(
                "retained",
                f"a message was not retained: there are {self._settings.max_retained} (mqtt.max_retained)",
                self._monotonic(),
            )

    def route(self, letter: Letter, audience: Audience = Audience.EVERYBODY) -> Receipt:
        """Bring a message to everybody subscribed to its topic, each at the lower of the two QoS."""
        desktops = written = awaiting = 0
        only_desktops = audience is Audience.DESKTOPS
        for session, granted in self.subscriptions.matching(letter.topic).items():
            if only_desktops and not session.desktop:
                continue
            outlet = session.outlet
            if outlet is None:
                self._store(session, letter, granted)
                continue
            packet = session.offer(letter, granted)
            if packet is None:
                self._overflow(session, letter, granted, outlet)
                continue
            now = bool(packet) and outlet.write(packet)
            later = bool(granted and letter.qos)  # acknowledged, or lost
            if session.desktop and (now or later):
                desktops += 1
                written += now
                awaiting += later
        return Receipt(desktops, written, awaiting)

    def desktops(self, topic: str) -> int:
        """Count the connected desktops subscribed to a topic."""
        return sum(1 for session in self.subscriptions.matching(topic) if session.desktop and session.outlet)

    def expire(self) -> None:
        """Drop the persistent sessions nobody used for long, and who has been away for 30 days."""
        oldest = self._monotonic() - self._settings.session_expiry
        expired = [one for one in self.sessions.values() if one.outlet is None and one.left_at < oldest]
        for session in expired:
            self._drop(session)
        for topic in self._attendance.forget(self._clock()):
            self.retained.keep(topic, b"", 1)

    def _drop(self, session: Session) -> None:
        for topic_filter in session.filters:
            self.subscriptions.remove(topic_filter, session)
        session.filters = {}
        name = key(session.principal, session.client_id)
        if self.sessions.get(name) is session:
            del self.sessions[name]

    def _store(self, session: Session, letter: Letter, granted: int) -> None:
        if not session.store(letter, granted):
            self._no_room(session, letter, granted)

    def _overflow(self, session: Session, letter: Letter, granted: int, outlet: Outlet) -> None:
        if letter.watcher is not None and session.desktop:
            outlet.cut(f"more than {self._settings.queue} messages wait for it (mqtt.queue)")
        else:
            self._no_room(session, letter, granted)

    def _no_room(self, session: Session, letter: Letter, granted: int) -> None:
        kept = self.retained.of(letter.topic)
        if kept is not None and kept.payload == letter.payload:
            # Who subscribed to a state must end up with the newest one, however slow it was: by the window's pace.
            session.retain([kept], granted)
        else:
            self._dropped()

    def _dropped(self) -> None:
        self._counters.dropped_queue_full += 1
        self._notices.warn(
            "queue",
            f"a message was dropped: a client's queue of {self._settings.queue} is full (mqtt.queue)",
            self._monotonic(),
        )

    def _tell_presence(self, principal: Principal) -> None:
        if principal.role is not Role.DESKTOP:
            return
        told = self._attendance.tell(principal.customer, principal.agent or "", self._clock())
        if told is not None:
            topic, payload = told
            self.retain(topic, payload, 1)
            self.route(Letter(topic, payload, 1))


def key(principal: Principal, client_id: str) -> Key:
    """Name a session: no client id can reach a session of another principal."""
    return principal.customer, principal.role, principal.agent, client_id


def _bounds(settings: Mqtt, packet: int) -> Bounds:
    return Bounds(
        window=settings.inflight,
        window_bytes=settings.write_buffer,
        queue=settings.queue,
        queue_bytes=_QUEUED_PACKETS * settings.max_packet,
        received=settings.queue,
        received_bytes=_RECEIVED_PACKETS * packet,
    )
