"""A second, naive computation of STT and CIM: each number of each row by asking all facts, in fractions.

It is written from the page, shares nothing with bridge.cloudsync.numbers, and is far too slow for anything but tests.
Rows are dicts by the published names; a row of which nothing is true is left out by `stt`, as by the real one.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise, product
from statistics import quantiles
from zoneinfo import ZoneInfo

from bridge.words.cloudsync import Fact, Mapping, Post

Number = int | float | str | None
Row = dict[str, Number]
Ask = Callable[[Post], list[Fact]]
Bounds = tuple[int, int]

MINUTE = 60_000


def one_decimal(value: Fraction | None) -> float | None:
    if value is None:
        return None
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return float(exact.quantize(Decimal("0.1"), ROUND_HALF_UP))


def divided(part: int | Fraction, whole: int | Fraction) -> Fraction | None:
    return Fraction(part) / Fraction(whole) if whole else None


def seconds(milliseconds: int) -> int:
    return int(Fraction(milliseconds, 1000))


def quantile(values: list[int], tenth: int) -> Fraction | None:
    if not values:
        return None
    if len(values) == 1:
        return Fraction(values[0], 1000)
    cuts: list[Fraction] = quantiles([Fraction(value, 1000) for value in values], n=10, method="inclusive")
    return cuts[tenth - 1]


def family(name: str, values: list[int]) -> Row:
    return {
        f"{name}_sum_s": seconds(sum(values)),
        f"{name}_avg_s": one_decimal(divided(Fraction(sum(values), 1000), len(values))),
        f"{name}_p50_s": one_decimal(quantile(values, 5)),
        f"{name}_p90_s": one_decimal(quantile(values, 9)),
    }


def most(values: list[int]) -> int | None:
    return seconds(max(values)) if values else None


def open_at(span: Fact, moment: int) -> bool:
    """Whether a span is open just before a moment."""
    return span.at < moment and (span.until is None or span.until >= moment)


def common(one: Bounds, other: Bounds) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def bounds(span: Fact, as_of: int) -> Bounds:
    return (span.at, max(as_of, span.at) if span.until is None else span.until)


def covered(window: Bounds, *sets: list[Bounds]) -> int:
    """Measure the time in the window that lies in at least one stretch of each of the sets."""
    cuts = sorted({*window, *(cut for each in sets for stretch in each for cut in stretch)})
    total = 0
    for begin, end in pairwise(cuts):
        inside = window[0] <= begin and end <= window[1]
        if inside and all(any(low <= begin and end <= high for low, high in each) for each in sets):
            total += end - begin
    return total


TICKET_COUNTS = {
    "created": Post.CREATED,
    "closed": Post.CLOSED,
    "first_closed": Post.FIRST_CLOSED,
    "closed_on_create": Post.CLOSED_ON_CREATE,
    "reopened": Post.REOPENED,
    "transferred_in": Post.TRANSFERRED_IN,
    "transferred_out": Post.TRANSFERRED_OUT,
    "reclassified_in": Post.RECLASSIFIED_IN,
    "reclassified_out": Post.RECLASSIFIED_OUT,
    "deleted": Post.DELETED,
    "deleted_open": Post.DELETED_OPEN,
    "undeleted": Post.UNDELETED,
    "undeleted_open": Post.UNDELETED_OPEN,
    "merged": Post.MERGED,
    "merged_open": Post.MERGED_OPEN,
    "escalated": Post.ESCALATED,
    "first_responses": Post.FIRST_RESPONSE,
    "offered": Post.OFFERED,
    "offered_by_transfer": Post.OFFERED_BY_TRANSFER,
    "answered": Post.ANSWERED,
    "flow_out": Post.FLOW_OUT,
    "handled": Post.HANDLED,
}


def stt_row(
    facts: list[Fact], begin: int, end: int, mapping: Mapping, attribution: str, sl_mode: str, as_of: int
) -> Row:
    def happened(post: Post) -> list[Fact]:
        mine = [fact for fact in facts if fact.post is post]
        if attribution == "arrival":
            return [fact for fact in mine if begin <= fact.arrival < end]
        return [fact for fact in mine if begin <= fact.at < end]

    def limit(fact: Fact) -> int:
        return mapping.sl_threshold.get(fact.group, 20_000)

    row: Row = {name: len(happened(post)) for name, post in TICKET_COUNTS.items()}
    row["closed_unique"] = len({fact.record for fact in happened(Post.CLOSED)})

    tickets = [fact for fact in facts if fact.post is Post.SPAN_OPEN]
    at_end = [span for span in tickets if open_at(span, end)]
    ages = [end - span.value for span in at_end]
    row["backlog_open"] = sum(open_at(span, begin) for span in tickets)
    row["backlog_close"] = len(at_end)
    row["unassigned_close"] = sum(not span.agent for span in at_end)
    row["backlog_age_p50_s"] = one_decimal(quantile(ages, 5))
    row["backlog_age_p90_s"] = one_decimal(quantile(ages, 9))
    row["backlog_age_oldest_s"] = most(ages)
    row |= family("frt", [fact.value for fact in happened(Post.FIRST_RESPONSE)])
    row |= family("res", [fact.value for fact in happened(Post.CLOSED)])

    answered = [fact.value for fact in happened(Post.ANSWERED)]
    within = sum(fact.value <= limit(fact) for fact in happened(Post.ANSWERED))
    gone = happened(Post.ABANDONED)
    short = [fact for fact in gone if fact.value < mapping.short_abandon.get(fact.group, 5_000)]
    patient = [fact for fact in gone if fact not in short]
    left = [fact.value for fact in patient]
    left_within = sum(fact.value <= limit(fact) for fact in patient)
    row["answered_within_sl"] = within
    row["abandoned"] = len(left)
    row["abandoned_within_sl"] = left_within
    row["abandoned_short"] = len(short)
    row["wait_sum_s"] = seconds(sum(answered))
    row["asa_s"] = one_decimal(divided(Fraction(sum(answered), 1000), len(answered)))
    row["abandon_wait_sum_s"] = seconds(sum(left))
    row["max_wait_answered_s"] = most(answered)
    row["max_wait_abandoned_s"] = most(left)
    row |= handling(happened, len(happened(Post.HANDLED)))
    busy = [bounds(fact, as_of) for fact in facts if fact.post is Post.SPAN_BUSY]
    row["busy_split_s"] = seconds(sum(common(stretch, (begin, end)) for stretch in busy))

    ended = len(answered) + len(left)
    parts = {
        "negative": (within, ended),
        "ignore": (within, ended - left_within),
        "positive": (within + left_within, ended),
    }
    row["sl_pct"] = one_decimal(divided(100 * parts[sl_mode][0], parts[sl_mode][1]))
    row["abandon_pct"] = one_decimal(divided(100 * len(left), ended))

    queue = [fact for fact in facts if fact.post is Post.SPAN_QUEUED]
    if attribution == "arrival":
        row["queue_open"] = 0
        row["open_end"] = sum(span.until is None and begin <= span.at < end for span in queue)
    else:
        row["queue_open"] = sum(open_at(span, begin) for span in queue)
        row["open_end"] = sum(open_at(span, end) for span in queue)
    return row


def handling(happened: Ask, handled: int) -> Row:
    legs = happened(Post.HANDLED) + happened(Post.TALKED)
    work = sum(leg.value + leg.hold + leg.wrap for leg in legs)
    return {
        "talk_s": seconds(sum(leg.value for leg in legs)),
        "hold_s": seconds(sum(leg.hold for leg in legs)),
        "wrap_s": seconds(sum(leg.wrap for leg in legs)),
        "handle_s": seconds(work),
        "aht_s": one_decimal(divided(Fraction(work, 1000), handled)),
    }


def anything(row: Row) -> bool:
    return any(value for value in row.values())


def matches(value: str, wanted: str) -> bool:
    return wanted in {"*", value}


def stt(
    facts: Iterable[Fact],
    start: int,
    end: int,
    mapping: Mapping,
    *,
    attribution: str = "event",
    sl_mode: str = "negative",
    as_of: int,
) -> dict[tuple[int, str, str, str], Row]:
    """Compute every row of which anything is true."""
    known = list(facts)
    rows = {}
    values = [{getattr(fact, name) for fact in known} | {"*"} for name in ("group", "channel", "priority")]
    for group, channel, priority in product(*values):
        mine = [
            fact
            for fact in known
            if matches(fact.group, group) and matches(fact.channel, channel) and matches(fact.priority, priority)
        ]
        for begin in range(start, end, 15 * MINUTE):
            row = stt_row(mine, begin, begin + 15 * MINUTE, mapping, attribution, sl_mode, as_of)
            if anything(row):
                rows[begin, group, channel, priority] = row
    return rows


def local_date(at: int, zone: str) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone)).date().isoformat()


def day_quarters(date: str, zone: str) -> list[int]:
    """List the quarter hours whose local date it is, by trying those of three days."""
    noon = int(datetime.fromisoformat(f"{date}T12:00:00+00:00").timestamp()) * 1000
    near = range(noon - 36 * 60 * MINUTE, noon + 36 * 60 * MINUTE, 15 * MINUTE)
    return [at for at in near if local_date(at, zone) == date]


def spelled(at: int | None) -> str | None:
    if at is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


CIM_COUNTS = {
    "offered_to_agent": Post.AGENT_OFFERED,
    "accepted": Post.AGENT_ACCEPTED,
    "declined": Post.AGENT_DECLINED,
    "missed": Post.AGENT_MISSED,
    "handled": Post.HANDLED,
    "transferred_in": Post.SESSION_IN,
    "transferred_out": Post.SESSION_OUT,
    "tickets_assigned": Post.ASSIGNED,
    "closed": Post.CLOSED,
    "first_closed": Post.FIRST_CLOSED,
    "reopened": Post.REOPENED,
    "first_responses": Post.FIRST_RESPONSE,
}


def presences(facts: list[Fact], agent: str, as_of: int) -> list[tuple[Bounds, str, bool]]:
    """List an agent's presences, cut short by the next: bounds, category, whether nothing has ended it."""
    mine = [fact for fact in facts if fact.post is Post.SPAN_PRESENCE and fact.agent == agent]
    found = []
    for span in mine:
        later = [other.at for other in mine if (other.at, other.record) > (span.at, span.record)]
        ends = [min(later)] if later else []
        ends += [span.until] if span.until is not None else []
        found.append(((span.at, min(ends) if ends else max(span.at, as_of)), span.detail, not ends))
    return found


def presence_row(facts: list[Fact], agent: str, window: Bounds, as_of: int) -> dict[str, int | None]:
    """Measure an agent's presence in a day, in milliseconds."""
    spans = presences(facts, agent, as_of)
    here = [stretch for stretch, category, _ in spans if category != "offline" and stretch[0] < stretch[1]]
    available = [stretch for stretch, category, _ in spans if category == "available"]
    busy = [bounds(fact, as_of) for fact in facts if fact.post is Post.SPAN_BUSY and fact.agent == agent]
    today = [stretch for stretch in here if common(stretch, window)]
    last = max((stretch[1] for stretch in today), default=None)
    open_ends = [stretch[1] for stretch, category, is_open in spans if is_open and category != "offline"]
    still = last is not None and (last >= window[1] or last in open_ends)
    return {
        "login": covered(window, here),
        "available": covered(window, available),
        "away": covered(window, [stretch for stretch, category, _ in spans if category == "away"]),
        "break": covered(window, [stretch for stretch, category, _ in spans if category == "break"]),
        "idle": covered(window, available) - covered(window, available, busy),
        "busy_in_login": covered(window, here, busy),
        "first": max(min(stretch[0] for stretch in today), window[0]) if today else None,
        "last": None if still else last,
        "still": int(still),
    }


def cim_row(facts: list[Fact], mine: list[Fact], agents: list[str], window: Bounds, zone: str, as_of: int) -> Row:
    """Compute a row: `mine` are the facts of its group and channel, `agents` those who have a row of it."""
    of_agents = [fact for fact in mine if fact.agent in agents]

    def happened(post: Post) -> list[Fact]:
        return [fact for fact in of_agents if fact.post is post and window[0] <= fact.at < window[1]]

    row: Row = {
        "day_start_utc": spelled(window[0]),
        "day_end_utc": spelled(window[1]),
        "tz": zone,
        "intervals_in_day": (window[1] - window[0]) // (15 * MINUTE),
    }
    row |= {name: len(happened(post)) for name, post in CIM_COUNTS.items()}
    row |= handling(happened, len(happened(Post.HANDLED)))
    row["open_end_of_day"] = sum(fact.post is Post.SPAN_OPEN and open_at(fact, window[1]) for fact in of_agents)
    row |= family("frt", [fact.value for fact in happened(Post.FIRST_RESPONSE)])
    row |= family("res", [fact.value for fact in happened(Post.CLOSED)])

    legs = [fact for fact in of_agents if fact.post is Post.SPAN_BUSY]
    row["sessions_touched"] = len(
        {leg.session for leg in legs if touches(bounds(leg, as_of), window)},
    )
    busy = sum(covered(window, [bounds(leg, as_of) for leg in legs if leg.agent == agent]) for agent in agents)
    concurrency = sum(common(bounds(leg, as_of), window) for leg in legs)
    row["busy_s"] = seconds(busy)
    row["concurrency_s"] = seconds(concurrency)
    row["avg_concurrency"] = one_decimal(divided(concurrency, busy))

    here = [presence_row(facts, agent, window, as_of) for agent in agents]

    def added(name: str) -> int:
        return sum(one[name] or 0 for one in here)

    row |= {
        "login_s": seconds(added("login")),
        "available_s": seconds(added("available")),
        "away_s": seconds(added("away")),
        "break_s": seconds(added("break")),
        "idle_s": seconds(added("idle")),
    }
    row["occupancy_pct"] = one_decimal(divided(100 * added("busy_in_login"), added("busy_in_login") + added("idle")))
    row["utilisation_pct"] = one_decimal(divided(100 * added("busy_in_login"), added("login")))
    firsts = [one["first"] for one in here if one["first"] is not None]
    lasts = [one["last"] for one in here if one["last"] is not None]
    row["first_login"] = spelled(min(firsts, default=None))
    row["last_logout"] = None if added("still") else spelled(max(lasts, default=None))
    return row


def touches(stretch: Bounds, window: Bounds) -> bool:
    return common(stretch, window) > 0 or (stretch[0] == stretch[1] and window[0] <= stretch[0] < window[1])


def cim(
    facts: Iterable[Fact], dates: Iterable[str], mapping: Mapping, *, customer_zone: str, as_of: int
) -> dict[tuple[str, str, str, str], Row]:
    """Compute every row of these dates, of groups in their zones and of all groups in the customer's."""
    known = list(facts)
    homes = {mapping.default_group.get(fact.agent, "") for fact in known}
    groups = {fact.group for fact in known if fact.post is not Post.SPAN_PRESENCE} | homes | {"*"}
    channels = {fact.channel for fact in known} | {"*"}
    rows = {}
    for date, group in product(dates, groups):
        zone = customer_zone if group == "*" else mapping.zone.get(group, customer_zone)
        quarters = day_quarters(date, zone)
        window = (quarters[0], quarters[-1] + 15 * MINUTE)
        for channel in channels:
            mine = [fact for fact in known if matches(fact.group, group) and matches(fact.channel, channel)]
            agents = [
                agent
                for agent in sorted({fact.agent for fact in known if fact.agent})
                if works(mine, agent, window, as_of)
                or (channel == "*" and is_only_there(known, agent, group, date, mapping, customer_zone, as_of))
            ]
            for agent in agents:
                rows[date, agent, group, channel] = cim_row(known, mine, [agent], window, zone, as_of)
            if agents:
                rows[date, "*", group, channel] = cim_row(known, mine, agents, window, zone, as_of)
    return rows


def works(mine: list[Fact], agent: str, window: Bounds, as_of: int) -> bool:
    """Whether anything but presence of an agent is in a day."""
    for fact in mine:
        if fact.agent != agent or fact.post is Post.SPAN_PRESENCE:
            continue
        if fact.post is Post.SPAN_OPEN:
            if open_at(fact, window[1]):
                return True
        elif fact.post is Post.SPAN_BUSY:
            if touches(bounds(fact, as_of), window):
                return True
        elif fact.post in {*CIM_COUNTS.values(), Post.TALKED} and window[0] <= fact.at < window[1]:
            return True
    return False


def is_only_there(
    known: list[Fact], agent: str, group: str, date: str, mapping: Mapping, customer_zone: str, as_of: int
) -> bool:
    """Whether an agent has presence on a day, and is to be shown in this group for that alone."""
    zone = customer_zone if group == "*" else mapping.zone.get(group, customer_zone)
    quarters = day_quarters(date, zone)
    window = (quarters[0], quarters[-1] + 15 * MINUTE)
    if not presence_row(known, agent, window, as_of)["login"]:
        return False
    if group == "*":
        return True
    in_zone = [fact for fact in known if mapping.zone.get(fact.group, customer_zone) == zone]
    return mapping.default_group.get(agent, "") == group and not works(in_zone, agent, window, as_of)
