"""Limits: the least and the most that each number, duration and size in broker.yaml can sensibly be."""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.words.settings import CloudPaths, Crm, Customer, Delivery, Group, Http, Kept, Ledger, Licence, Mqtt, Ttl

_YEAR = 365 * 86_400.0
_MEBI = 1024 * 1024
_COUNT = (1, 10_000_000)
_TIMEOUT = (0.01, 3_600.0)
_PACKET = (1024, 256 * _MEBI)  # MQTT cannot express more than 256 MiB; below 1 KiB no CONNECT with a token fits
_TTL = (1.0, 3_600.0)  # the same as `pop_ttl`

Range = tuple[float, float]

LIMITS: Mapping[type, Mapping[str, Range]] = MappingProxyType(
    {
        Http: {
            "head_timeout": _TIMEOUT,
            "body_timeout": _TIMEOUT,
            "keepalive": (0.01, 86_400.0),
            "max_connections": _COUNT,
        },
        Mqtt: {
            "connect_timeout": _TIMEOUT,
            "max_packet": _PACKET,
            "max_packet_feed": _PACKET,
            "max_connections": _COUNT,
            "max_connecting_per_address": _COUNT,
            "max_failed_logins_per_address": _COUNT,
            "inflight": (1, 65_535),  # packet identifiers have 16 bits
            "queue": _COUNT,
            "max_sessions": _COUNT,
            "session_expiry": (1.0, _YEAR),
            "max_subscriptions": (5, 1_000_000),  # a desktop needs five
            "max_retained": _COUNT,
            "write_buffer": (256 * 1024, 1024 * _MEBI),  # the largest pop twice, or nobody would ever get it
        },
        Delivery: {"max_open": _COUNT, "max_open_per_agent": _COUNT, "record_grace": (0.01, 86_400.0)},
        Ledger: {
            "retention": (60.0, 10 * _YEAR),
            "max_pops": (1_000, 1_000_000_000),
            "payloads": (0.0, 10 * _YEAR),  # 0s: gone at the next purge
            "max_answers": (1_000, 1_000_000_000),
            "max_waiting": (100, 10_000_000),
            "max_waiting_bytes": (_MEBI, 16_384 * _MEBI),
            "busy_timeout": (0.01, 60.0),
        },
        Kept: {
            "retention": (86_400.0, 10 * _YEAR),
            "max_quarantined": _COUNT,
            "max_restatements": (1_000, 1_000_000_000),
        },
        CloudPaths: {"id_token_lives": (1.0, _YEAR), "refresh_token_lives": (1.0, _YEAR)},
        Customer: {
            "duplicate_window": (0.0, 86_400.0),  # 0s: no guard
            "rate_limit": (0, 1_000_000),  # 0: no limit
        },
        Ttl: {"cti": _TTL, "crm": _TTL, "cloud": _TTL},
        Licence: {"seats": (0, 10_000_000)},
        Crm: {
            "batch": (1, 2_000),  # the platform takes no more
            "timeout": _TIMEOUT,
            "refresh": (60.0, _YEAR),
        },
        Group: {"sl_threshold": (0.001, 86_400.0), "short_abandon": (0.0, 86_400.0)},
    }
)
"""Both ends count. The unit is the field's: seconds, bytes, or a count."""
