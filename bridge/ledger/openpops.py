"""Open pops: what a process that ended left behind."""

from bridge.ledger.database import Database

_DETAIL = "the bridge was not running when its time ran out"

COUNT = "SELECT json_object('count', count(*)) FROM pops WHERE open = 1 AND expires <= ?"
# What was delivered keeps that as its status.
ENTER_STEPS = """
    INSERT INTO steps (pop, number, status, at, detail)
    SELECT number, ? + row_number() OVER (ORDER BY number), 'expired', expires, ?
    FROM pops WHERE open = 1 AND expires <= ? AND status <> 'delivered'
"""
CLOSE = """
    UPDATE pops SET open = 0, status = CASE status WHEN 'delivered' THEN 'delivered' ELSE 'expired' END
    WHERE open = 1 AND expires <= ?
"""
NUMBER = "UPDATE numbers SET last = ?"


async def expire(database: Database, last: int, now: float) -> int:
    """End the open pops whose time has run out. Takes and returns the last number given to a pop or step."""
    count = (await database.read(dict[str, int], COUNT, now) or {})["count"]
    await database.write_all(
        [
            (ENTER_STEPS, (last, _DETAIL, now)),
            (CLOSE, (now,)),
            (NUMBER, (last + count,)),
        ]
    )
    return last + count
