"""Check: what must be true of every row, whatever happened; else its facts contradict one another."""

from bridge.cloudsync.numbers.cim import CimRow
from bridge.cloudsync.numbers.stt import Attribution, SttRow

SLACK = 1
"""Seconds that rounding down each sum on its own may leave between two of them."""


def identities(row: SttRow | CimRow, attribution: Attribution = "event") -> list[str]:
    """Name the identities that a row breaks: none, if all is well."""
    match row:
        case SttRow():
            checks = {**_counts(row), **_contacts(row)}
            if attribution == "event":  # a ticket's flows are moved to its arrival, its stocks are not
                checks |= _tickets(row)
        case CimRow():
            checks = {**_agent(row), **_presence(row)}
    return [sentence for sentence, holds in checks.items() if not holds]


def expected_backlog(row: SttRow) -> int:
    """Compute the closing backlog from the opening one and the flows."""
    came = row.created - row.closed_on_create + row.reopened + row.transferred_in + row.reclassified_in
    came += row.undeleted_open
    went = row.closed - row.closed_on_create + row.transferred_out + row.reclassified_out
    went += row.deleted_open + row.merged_open
    return row.backlog_open + came - went


def _tickets(row: SttRow) -> dict[str, bool]:
    return {
        "backlog_close is backlog_open and the flows": row.backlog_close == expected_backlog(row),
        "closed_on_create <= created": row.closed_on_create <= row.created,
    }


def _counts(row: SttRow) -> dict[str, bool]:
    return {
        "closed_on_create <= closed": row.closed_on_create <= row.closed,
        "first_closed <= closed_unique <= closed": row.first_closed <= row.closed_unique <= row.closed,
        "closed_unique counts something if closed does": (row.closed_unique > 0) == (row.closed > 0),
        "unassigned_close <= backlog_close": row.unassigned_close <= row.backlog_close,
        "deleted_open <= deleted": row.deleted_open <= row.deleted,
        "undeleted_open <= undeleted": row.undeleted_open <= row.undeleted,
        "merged_open <= merged": row.merged_open <= row.merged,
        "ages are there if a backlog is": (row.backlog_age_oldest_s is None) == (row.backlog_close == 0),
        "frt is there if first responses are": (row.frt_avg_s is None) == (row.first_responses == 0),
        "res is there if closes are": (row.res_avg_s is None) == (row.closed == 0),
        "p50 <= p90": _rising(row.frt_p50_s, row.frt_p90_s) and _rising(row.res_p50_s, row.res_p90_s),
        "ages rise": _rising(row.backlog_age_p50_s, row.backlog_age_p90_s),
    }


def _contacts(row: SttRow) -> dict[str, bool]:
    left = row.answered + row.abandoned + row.abandoned_short + row.flow_out + row.open_end
    return {
        "queue_open + offered is all that left or waits": row.queue_open + row.offered == left,
        "offered_by_transfer <= offered": row.offered_by_transfer <= row.offered,
        "answered_within_sl <= answered": row.answered_within_sl <= row.answered,
        "abandoned_within_sl <= abandoned": row.abandoned_within_sl <= row.abandoned,
        "handle_s is talk, hold and wrap": _sum_of(row.handle_s, row.talk_s, row.hold_s, row.wrap_s),
        "aht_s is there if handled is": (row.aht_s is None) == (row.handled == 0),
        "asa_s is there if answered is": (row.asa_s is None) == (row.answered == 0),
        "sl_pct is a share": _is_share(row.sl_pct),
        "abandon_pct is a share": _is_share(row.abandon_pct),
    }


def _agent(row: CimRow) -> dict[str, bool]:
    return {
        "first_closed <= closed": row.first_closed <= row.closed,
        "busy_s <= concurrency_s": row.busy_s <= row.concurrency_s,
        "avg_concurrency is at least 1": row.avg_concurrency is None or row.avg_concurrency >= 1,
        "handle_s is talk, hold and wrap": _sum_of(row.handle_s, row.talk_s, row.hold_s, row.wrap_s),
        "aht_s is there if handled is": (row.aht_s is None) == (row.handled == 0),
        "frt is there if first responses are": (row.frt_avg_s is None) == (row.first_responses == 0),
        "res is there if closes are": (row.res_avg_s is None) == (row.closed == 0),
    }


def _presence(row: CimRow) -> dict[str, bool]:
    in_states = row.available_s + row.away_s + row.break_s
    return {
        "states are in login": in_states <= row.login_s + SLACK,
        "idle_s <= available_s": row.idle_s <= row.available_s,
        "occupancy_pct is a share": _is_share(row.occupancy_pct),
        "utilisation_pct is a share": _is_share(row.utilisation_pct),
        "who logged in has a first_login": (row.first_login is not None) or row.login_s == 0,
        "first_login before last_logout": row.last_logout is None
        or (row.first_login is not None and row.first_login < row.last_logout),
        "the day has its quarter hours": row.day_start_utc < row.day_end_utc and 88 <= row.intervals_in_day <= 104,
    }


def _rising(lower: float | None, upper: float | None) -> bool:
    return (lower is None) == (upper is None) and (lower is None or upper is None or lower <= upper)


def _is_share(value: float | None) -> bool:
    return value is None or 0 <= value <= 100


def _sum_of(total: int, *parts: int) -> bool:
    return 0 <= total - sum(parts) <= len(parts) * SLACK
