"""Passwords: argon2 off the event loop, a few at a time, and at equal cost whether the user exists or not."""

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import argon2

from bridge.credentials.refusals import OverloadedError

SHORTEST = 8
LONGEST = 1024

_T = TypeVar("_T")

_AT_ONCE = 2  # each takes 64 MiB and some 50 ms
_WAITING = 64  # more: OverloadedError, as the last would wait for seconds


class Passwords:
    """A context manager: hashes and checks passwords in its own worker threads."""

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher()
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobodys = _nobodys_hash(self._hasher)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Hash a password for keeping. OverloadedError: too many wait."""
        return await self._work(lambda: self._hasher.hash(password))

    async def fits(self, password: str, kept: str | None) -> bool:
        """Say whether the password made the hash `kept`; None takes as long and is never right."""
        if len(password) > LONGEST:
            password, kept = "", None
        return await self._work(lambda: self._verify(kept or self._nobodys, password))

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (argon2.exceptions.VerificationError, UnicodeEncodeError):
            return False

    async def _work(self, task: Callable[[], _T]) -> _T:
        if self._waiting >= _WAITING:
            raise OverloadedError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, task)
        finally:
            self._waiting -= 1


def _nobodys_hash(hasher: argon2.PasswordHasher) -> str:
    # Random bytes in the place of salt and digest: no known password makes them, and it costs nothing to make.
    salt, digest = (
        base64.b64encode(os.urandom(length)).rstrip(b"=").decode() for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
