"""The session: what is said, said again, kept and dropped, with no socket in sight."""

import json
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.broker.core import packets, wire
from bridge.broker.core.acknowledgements import Acknowledgements
from bridge.broker.core.counters import Counters
from bridge.broker.core.letters import Letter
from bridge.broker.core.logins import Logins
from bridge.broker.core.presence import REMEMBERED, Attendance
from bridge.broker.core.session import Bounds, Session
from bridge.words.principal import Principal, Role

DESKTOP = Principal(Role.DESKTOP, "acme", "t", 9e9, "1001")
OBSERVER = Principal(Role.OBSERVER, "acme", "o", 9e9)
BOUNDS = Bounds(window=2, window_bytes=1000, queue=3, queue_bytes=10_000, received=2, received_bytes=1000)
HELLO = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"


class Watcher:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.is_stale = False

    def written(self, qos: int) -> None:
        self.told.append(f"written {qos}")

    def acknowledged(self) -> None:
        self.told.append("acknowledged")

    def lost(self) -> None:
        self.told.append("lost")

    def stale(self) -> bool:
        return self.is_stale


class Pipe:
    """An outlet that keeps what is written."""

    def __init__(self) -> None:
        self.out = b""

    def write(self, data: bytes) -> bool:
        self.out += data
        return True

    def cut(self, reason: str) -> None:
        raise AssertionError(reason)

    def taken_over(self) -> None:
        raise AssertionError


def session(principal: Principal = DESKTOP, *, clean: bool = False, bounds: Bounds = BOUNDS) -> Session:
    return Session(principal, "me", bounds, Counters(), clean=clean)


def pop(watcher: Watcher, payload: bytes = b"pop", qos: int = 1) -> Letter:
    return Letter("CTI/acme/1001", payload, qos, watcher=watcher, transient=True)


def note(payload: bytes, qos: int = 1) -> Letter:
    return Letter("DESK/acme/1001", payload, qos)


def said(raw: bytes | None) -> list[packets.Packet]:
    """Read what a session says; both directions share the packets used here."""
    decoder = wire.Decoder(10**6)
    decoder.feed(HELLO)
    return decoder.feed(raw or b"")


def payloads(raw: bytes | None) -> list[tuple[bytes, int, bool]]:
    return [(packet.payload, packet.id, packet.dup) for packet in said(raw) if isinstance(packet, packets.Publish)]


def test_the_lower_qos_counts() -> None:
    one = session()
    for asked, granted in ((0, 2), (2, 0)):
        assert said(one.offer(note(b"x", asked), granted)) == [packets.Publish("DESK/acme/1001", b"x")]
    assert said(one.offer(note(b"x", 2), 1)) == [packets.Publish("DESK/acme/1001", b"x", 1, id=1)]
    assert one.unacknowledged == 1


def test_beyond_the_window_messages_wait_and_beyond_the_queue_there_is_no_room() -> None:
    one = session()
    out = [one.offer(note(b"%d" % number), 1) for number in range(6)]
    assert [bool(packet) for packet in out] == [True, True, False, False, False, False]
    assert out[2:5] == [b"", b"", b""]
    assert out[5] is None
    assert payloads(one.acknowledged(1)) == [(b"2", 3, False)]
    assert one.waiting == 2


def test_the_window_counts_bytes_too_but_one_message_always_fits() -> None:
    one = session()
    assert one.offer(note(bytes(5000)), 1)
    assert one.offer(note(b"x"), 1) == b""
    assert payloads(one.acknowledged(1)) == [(b"x", 2, False)]


def test_the_queue_counts_bytes_too() -> None:
    one = session(bounds=Bounds(1, 1000, 100, 100, 2, 1000))
    assert one.offer(note(b"first"), 1)
    assert one.offer(note(bytes(90)), 1) == b""
    assert one.offer(note(bytes(20)), 1) is None


def test_a_pop_that_had_to_wait_is_asked_about_and_told_of() -> None:
    one = session()
    watchers = [Watcher() for _ in range(4)]
    for watcher in watchers:
        one.offer(pop(watcher), 1)
    watchers[2].is_stale = True
    out = one.acknowledged(1)
    assert [watcher.told for watcher in watchers] == [["acknowledged"], [], [], ["written 1"]]
    assert len(payloads(out)) == 1


def test_a_pop_is_lost_once_and_never_waits_for_an_absent_desktop() -> None:
    one = session()
    watchers = [Watcher() for _ in range(4)]
    for watcher in watchers:
        one.offer(pop(watcher), 1)
    one.acknowledged(1)
    one.suspend()
    assert [watcher.told for watcher in watchers] == [["acknowledged"], ["lost"], ["written 1", "lost"], ["lost"]]
    assert one.resume() == b""
    assert one.store(pop(Watcher()), 1)
    assert one.waiting == 0
    one.suspend()
    assert watchers[1].told == ["lost"]


def test_a_pop_at_qos_0_tells_nothing_after_it_was_written() -> None:
    one, watcher = session(), Watcher()
    assert one.offer(pop(watcher), 0)
    one.suspend()
    assert watcher.told == []


def test_an_observer_proves_nothing_and_keeps_no_pop() -> None:
    one, watcher = session(OBSERVER), Watcher()
    one.offer(pop(watcher), 1)
    one.offer(pop(watcher), 1)
    one.acknowledged(1)
    one.suspend()
    assert watcher.told == []
    assert one.resume() == b""


def test_a_pop_at_qos_2_is_acknowledged_by_pubrec_and_not_lost_after_it() -> None:
    one, watcher = session(), Watcher()
    one.offer(pop(watcher, qos=2), 2)
    assert one.received(1) == wire.pubrel(1)
    assert one.received(1) == wire.pubrel(1)
    one.suspend()
    assert watcher.told == ["acknowledged"]
    assert one.resume() == wire.pubrel(1)
    assert one.completed(1) == b""
    assert one.unacknowledged == 0


def test_ordinary_messages_are_said_again_in_order_as_duplicates() -> None:
    one = session()
    for number in range(4):
        one.offer(note(b"%d" % number, 1 + number % 2), 2)
    one.suspend()
    one.store(note(b"4"), 1)
    one.store(note(b"never", 0), 1)
    assert payloads(one.resume()) == [(b"0", 1, True), (b"1", 2, True)]
    out = one.acknowledged(1) + one.received(2) + one.completed(2)
    assert [found[0] for found in payloads(out)] == [b"2", b"3"]


@pytest.mark.parametrize("answer", ["received", "completed"])
def test_a_wrong_answer_to_qos_1_is_an_error(answer: str) -> None:
    one = session()
    one.offer(note(b"x"), 1)
    with pytest.raises(wire.ProtocolError):
        getattr(one, answer)(1)


@pytest.mark.parametrize("answer", ["acknowledged", "completed"])
def test_a_wrong_answer_to_qos_2_is_an_error(answer: str) -> None:
    one = session()
    one.offer(note(b"x", 2), 2)
    with pytest.raises(wire.ProtocolError):
        getattr(one, answer)(1)


def test_answers_to_nothing_are_let_pass() -> None:
    one = session()
    assert one.acknowledged(7) == b""
    assert one.completed(7) == b""
    assert one.received(7) == wire.pubrel(7)


def test_packet_ids_go_round_and_skip_what_is_in_flight() -> None:
    one = session()
    one.offer(note(b"stays"), 1)
    for expected in range(2, 0x10000):
        [(_, identifier, _)] = payloads(one.offer(note(b"x"), 1))
        assert identifier == expected
        one.acknowledged(identifier)
    assert payloads(one.offer(note(b"again"), 1)) == [(b"again", 2, False)]


def test_retained_messages_are_paced_by_the_window_and_are_no_queue() -> None:
    one = session()
    one.retain([Letter(f"t/{number}", b"x", 1, retain=True) for number in range(10)], 1)
    assert one.waiting == 0
    assert len(payloads(one.more())) == 2
    assert one.offer(note(b"live"), 1) == b""
    assert payloads(one.acknowledged(1)) == [(b"live", 3, False)]
    heard = 3
    for identifier in range(2, 12):
        heard += len(payloads(one.acknowledged(identifier)))
    assert heard == 11


def test_retained_messages_at_qos_0_are_paced_by_the_line() -> None:
    one = session()
    one.retain([Letter(f"t/{number}", bytes(100), 0, retain=True) for number in range(10)], 1)
    first = said(one.more(budget=300))
    assert 0 < len(first) < 10
    assert one.eager
    rest = said(one.more())
    assert len(first) + len(rest) == 10
    assert not one.eager


def test_a_retained_message_that_was_replaced_meanwhile_is_not_said() -> None:
    one = session()
    old = Letter("t", b"old", 1, retain=True)
    one.retain([old], 1)
    old.superseded = True
    assert one.more() == b""
    assert not one.eager


def test_messages_the_client_does_not_release_are_bounded() -> None:
    one = session()
    one.hold(1, note(b"x", 2))
    one.hold(2, note(b"x", 2))
    with pytest.raises(wire.ProtocolError):
        one.hold(3, note(b"x", 2))
    assert one.release(1) is not None
    assert one.release(1) is None
    one.hold(3, note(b"x", 2))
    one.release(2)
    with pytest.raises(wire.ProtocolError):
        one.hold(4, note(bytes(2000), 2))


def test_acknowledgements_leave_in_order_of_arrival() -> None:
    pipe = Pipe()
    acknowledgements = Acknowledgements(pipe)
    tickets = [acknowledgements.ticket(wire.puback(number)) for number in (1, 2, 3)]
    for ticket in tickets:
        acknowledgements.keep(ticket)
    tickets[2].release()
    tickets[1].release()
    assert pipe.out == b""
    tickets[0].release()
    tickets[0].release()
    assert pipe.out == wire.puback(1) + wire.puback(2) + wire.puback(3)
    assert len(acknowledgements) == 0


def test_tickets_released_after_the_end_do_nothing() -> None:
    pipe = Pipe()
    acknowledgements = Acknowledgements(pipe)
    first, second = acknowledgements.ticket(wire.puback(1)), acknowledgements.ticket(wire.pubrec(2), 2)
    acknowledgements.keep(first)
    acknowledgements.keep(second)
    assert acknowledgements.keeps(2)
    assert acknowledgements.close() == [2]
    first.release()
    second.release()
    assert pipe.out == b""


def test_presence_tells_changes_only_and_forgets_after_30_days() -> None:
    attendance = Attendance()

    def told(now: float) -> tuple[bool, int, str] | None:
        found = attendance.tell("acme", "a/b", now)
        if found is None:
            return None
        assert found[0] == "PRESENCE/acme/a%2Fb"
        document = json.loads(found[1])
        assert document["agentid"] == "a/b"
        return document["online"], document["desktops"], document["since"]

    attendance.came("acme", "a/b")
    assert told(1.0) == (True, 1, "1970-01-01T00:00:01.000Z")
    attendance.came("acme", "a/b")
    assert told(2.0) == (True, 2, "1970-01-01T00:00:01.000Z")
    attendance.came("acme", "a/b")  # a take-over: the later comes before the older goes
    attendance.went("acme", "a/b")
    assert told(3.0) is None
    assert attendance.went("acme", "a/b") == 1
    assert attendance.went("acme", "a/b") == 0
    assert told(4.0) == (False, 0, "1970-01-01T00:00:04.000Z")
    assert attendance.forget(REMEMBERED) == []
    assert attendance.forget(REMEMBERED + 4) == ["PRESENCE/acme/a%2Fb"]


def test_logins_are_bounded_by_address_and_minute() -> None:
    logins = Logins(2, 3)
    assert [logins.began("a") for _ in range(3)] == [True, True, False]
    assert logins.began("b")
    logins.ended("a")
    assert logins.began("a")
    assert logins.connecting == 3
    for now in (0.0, 1.0, 2.0):
        assert not logins.blocked("a", now)
        logins.failed("a", now)
    assert logins.blocked("a", 59.0)
    assert not logins.blocked("b", 59.0)
    assert not logins.blocked("a", 60.0)
    logins.failed("a", 61.0)
    assert not logins.blocked("a", 61.0)


class Flow(RuleBasedStateMachine):
    """A client that answers late, out of turn, or after a reconnect, over a line that loses everything at a break."""

    def __init__(self) -> None:
        super().__init__()
        self.session = session(OBSERVER, bounds=Bounds(3, 10**6, 5, 10**6, 5, 10**6))
        self.line: deque[packets.Packet] = deque()
        self.connected = True
        self.accepted: list[tuple[bytes, int]] = []
        self.heard: list[tuple[bytes, int]] = []
        self.unreleased: set[int] = set()
        self.number = 0

    def send(self, raw: bytes | None) -> None:
        if self.connected:
            self.line.extend(said(raw))

    @rule(qos=st.integers(1, 2))
    def publish(self, qos: int) -> None:
        self.number += 1
        letter = note(b"%d" % self.number, qos)
        if self.connected:
            out = self.session.offer(letter, 2)
            self.send(out)
            taken = out is not None
        else:
            taken = self.session.store(letter, 2)
        if taken:
            self.accepted.append((letter.payload, qos))

    @precondition(lambda self: self.connected and self.line)
    @rule()
    def answer(self) -> None:
        match self.line.popleft():
            case packets.Publish(payload=payload, qos=1, id=identifier):
                self.heard.append((payload, 1))
                self.send(self.session.acknowledged(identifier))
            case packets.Publish(payload=payload, id=identifier):
                if identifier not in self.unreleased:
                    self.heard.append((payload, 2))
                    self.unreleased.add(identifier)
                self.send(self.session.received(identifier))
            case packets.Pubrel(id=identifier):
                self.unreleased.discard(identifier)
                self.send(self.session.completed(identifier))
            case other:
                raise AssertionError(other)

    @precondition(lambda self: self.connected)
    @rule()
    def breaks(self) -> None:
        self.connected = False
        self.line.clear()
        self.session.suspend()

    @precondition(lambda self: not self.connected)
    @rule()
    def returns(self) -> None:
        self.connected = True
        self.send(self.session.resume())

    @invariant()
    def bounds_hold(self) -> None:
        assert self.session.unacknowledged <= 3
        assert self.session.waiting <= 5

    def teardown(self) -> None:
        if not self.connected:
            self.returns()
        for _ in range(1000):
            if not self.line:
                break
            self.answer()
        assert self.session.unacknowledged == 0
        assert self.session.waiting == 0
        once = [payload for payload, qos in self.heard if qos == 2]
        assert sorted(once) == sorted(payload for payload, qos in self.accepted if qos == 2)
        assert {payload for payload, _ in self.heard} == {payload for payload, _ in self.accepted}
        firsts = list(dict.fromkeys(payload for payload, qos in self.heard if qos == 1))
        assert firsts == [payload for payload, qos in self.accepted if qos == 1]


TestFlow = Flow.TestCase
TestFlow.settings = settings(max_examples=60, stateful_step_count=40)
