"""While thousands log in at once, whoever else wants something from the event loop has his turn between them."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.broker.turnstile import Turnstile


async def test_one_who_comes_alone_waits_for_nothing() -> None:
    turnstile = Turnstile(2)
    for _ in range(5):
        assert turnstile.enter() is None
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_of_many_so_many_pass_in_each_turn_and_the_others_in_the_order_in_which_they_came() -> None:
    turnstile = Turnstile(10)
    passed: list[tuple[int, int]] = []
    turn = 0

    async def pass_through(number: int) -> None:
        waiting = turnstile.enter()
        if waiting is not None:
            await waiting
        passed.append((number, turn))

    crowd = asyncio.gather(*(pass_through(number) for number in range(95)))
    while len(passed) < 95:
        turn += 1
        await asyncio.sleep(0)
        assert turn < 100
    await crowd
    assert [number for number, _ in passed] == list(range(95))
    for one in range(turn):
        # Who is let through in a turn goes on in the next one: at most those of two turns meet in one.
        assert sum(at == one for _, at in passed) <= 20


async def test_who_goes_away_while_he_waits_takes_nobody_s_turn() -> None:
    turnstile = Turnstile(1)
    assert turnstile.enter() is None
    waiting = [turnstile.enter() for _ in range(50)]
    for one in waiting[:-1]:
        assert one is not None
        one.cancel()
    last = waiting[-1]
    assert last is not None
    for _ in range(4):
        await asyncio.sleep(0)
    assert last.done()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(0, 12), max_size=12))
def test_everybody_passes_once_however_they_come(at_once: int, arrivals: list[int]) -> None:
    async def story() -> None:
        turnstile = Turnstile(at_once)
        waiting: list[asyncio.Future[None]] = []
        for number in arrivals:
            waiting += [one for one in (turnstile.enter() for _ in range(number)) if one is not None]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert turnstile.enter() is None

    asyncio.run(story())
