"""Counters: what the broker counts."""

import msgspec


class Counters(msgspec.Struct):
    """Totals since the start."""

    connections: int = 0  # accepted
    logins: int = 0
    logins_failed: int = 0
    refused_full: int = 0  # refused because of a bound
    taken_over: int = 0
    slow_cut: int = 0
    keepalive_timeouts: int = 0
    connect_timeouts: int = 0
    protocol_errors: int = 0
    forbidden: int = 0  # publishes that closed their connection
    ended_dead: int = 0  # connections whose credential no longer counted
    dropped_queue_full: int = 0
    dropped_retained_full: int = 0
    subscriptions_refused: int = 0
    messages_in: int = 0
    messages_out: int = 0


class Gauges(msgspec.Struct):
    """How much there is now."""

    connections: int
    connecting: int
    sessions: int
    subscriptions: int
    retained: int
