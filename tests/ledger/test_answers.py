"""Answers to idempotency keys, fingerprints and records: what the rules above need again after a restart."""

from pathlib import Path

from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Fingerprint, Record, Remembered, Step
from tests.ledger.conftest import Clock
from tests.ledger.pops import NOON, accept, entry

DAY = 86_400.0


def answer(key: str, *, at: float = NOON, api: str = "connect", customer: str = "acme") -> Remembered:
    body = f'{{"success":true,"popid":"{key}","hint":"Größe"}}'.encode()
    return Remembered(customer=customer, api=api, key=key, fingerprint=b"\x00\x01", status=200, body=body, at=at)


async def test_an_answer_is_remembered_with_its_pop_over_a_restart_for_a_day(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        await ledger.accept(entry("pop-000000000001"), [Step("held", NOON)], answer("k"))
    async with Ledger.open(data) as ledger:
        assert await ledger.remembered("acme", "connect", "k", NOON + DAY - 1) == answer("k")
        assert await ledger.remembered("acme", "connect", "k", NOON + DAY) is None
        assert await ledger.remembered("acme", "cloud", "k", NOON) is None
        assert await ledger.remembered("globex", "connect", "k", NOON) is None
        assert await ledger.remembered("acme", "connect", "K", NOON) is None


async def test_an_answer_without_a_pop_is_remembered_at_once(ledger: Ledger) -> None:
    ledger.remember(answer("k"))
    assert await ledger.remembered("acme", "connect", "k", NOON) == answer("k")


async def test_a_key_used_again_after_a_day_has_its_new_answer(ledger: Ledger) -> None:
    ledger.remember(answer("k"))
    ledger.remember(answer("k", at=NOON + 2 * DAY))
    assert await ledger.remembered("acme", "connect", "k", NOON + 2 * DAY) == answer("k", at=NOON + 2 * DAY)


async def test_fingerprints_since_a_time_are_listed_the_newest_first(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        for number in range(5):
            print_ = bytes([number]) * 32 if number != 3 else None
            await accept(ledger, entry(f"pop-{number:012}", sent=NOON + number, fingerprint=print_))
    async with Ledger.open(data) as ledger:
        assert await ledger.fingerprints(NOON + 2) == [
            Fingerprint("acme", b"\x04" * 32, "pop-000000000004", NOON + 4),
            Fingerprint("acme", b"\x02" * 32, "pop-000000000002", NOON + 2),
        ]


async def test_records_are_there_after_a_restart_as_they_were_last(data: Path) -> None:
    current = Record("acme", "1001", "R-2", "current", "pop-000000000002", NOON + 0.1234567)
    aside = Record("acme", "1001", "R-1", "activity", "pop-000000000001", NOON)
    other = Record("globex", "1001", "R-1", "current", "pop-000000000003", NOON)
    async with Ledger.open(data) as ledger:
        ledger.save_record(Record("acme", "1001", "R-1", "current", "pop-000000000001", NOON))
        ledger.save_record(other)
        assert len(await ledger.records()) == 2
        ledger.save_record(aside)
        ledger.save_record(current)
        ledger.save_record(Record("acme", "1002", "R-9", "current", "pop-000000000009", NOON))
        ledger.drop_record("acme", "1002", "R-9")
        ledger.drop_record("acme", "1003", "R-8")
    async with Ledger.open(data) as ledger:
        assert await ledger.records() == [aside, current, other]
        ledger.drop_record("acme", "1001", "R-1")
        ledger.drop_record("acme", "1001", "R-2")
        ledger.save_record(current)
        assert await ledger.records() == [current, other]


async def test_more_records_than_are_read_at_once_are_all_read(ledger: Ledger) -> None:
    records = [Record("acme", f"{number:05}", "R", "current", "pop", NOON) for number in range(2_100)]
    for record in records:
        ledger.save_record(record)
    assert await ledger.records() == records


async def test_answers_are_forgotten_after_a_day(ledger: Ledger, clock: Clock) -> None:
    ledger.remember(answer("old"))
    ledger.remember(answer("new", at=NOON + DAY))
    await ledger.records()
    clock.now = NOON + DAY + 1
    await ledger.purge()
    assert await ledger.remembered("acme", "connect", "old", NOON) is None
    assert await ledger.remembered("acme", "connect", "new", NOON) is not None
