"""The rate limit: so many triggers a second for each key."""

import asyncio

import aiohttp

from tests.conftest import WITHIN, Bridge, Caller


async def test_a_key_that_triggers_too_often_is_told_when_to_come_back_and_others_are_not(
    repeats: Bridge, repeat_http: aiohttp.ClientSession, repeat_keys: dict[str, str]
) -> None:
    trigger = Caller(repeat_http, repeat_keys)
    answers = await asyncio.gather(*(trigger(customer="limited") for _ in range(20)))
    assert sum(answer.status == 200 for answer in answers) >= 3
    limited = [answer for answer in answers if answer.status != 200]
    assert limited
    for answer in limited:
        assert (answer.status, answer.said["code"], answer.said["success"]) == (429, "rate_limited", False)
        assert int(answer.headers["Retry-After"]) >= 1
    another = Caller(repeat_http, {"limited": repeats.key("limited")})
    assert (await another(customer="limited")).status == 200
    assert (await trigger(customer="acme")).status == 200
    async with asyncio.timeout(WITHIN):
        while (await trigger(customer="limited")).status == 429:
            pass
