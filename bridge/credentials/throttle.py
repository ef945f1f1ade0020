"""Throttle: how long a login must wait after failed ones. Per user name and address, so that nobody is locked out."""

import hashlib
from collections import OrderedDict

import msgspec

FREE_FAILURES = 4  # mistakes that cost nothing; from the next on the wait doubles
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
FORGOTTEN_AFTER = 3_600.0  # failures so long ago are not "in a row"


class _Failures(msgspec.Struct):
    count: int
    last: float


class Throttle:
    """Counts failures in a row. Times are seconds on any one clock; the least recently failed are forgotten first."""

    def __init__(self, remembered: int = 10_000) -> None:
        self._remembered = remembered
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()

    def blocked_for(self, user: str, address: str, now: float) -> float:
        """Say for how many seconds yet the credentials need not be looked at; 0 if they may be."""
        failures = self._failures.get(_key(user, address))
        if failures is None or failures.count <= FREE_FAILURES:
            return 0.0
        doublings = min(failures.count - FREE_FAILURES - 1, 16)
        return max(0.0, failures.last + min(FIRST_WAIT * 2.0**doublings, LONGEST_WAIT) - now)

    def failed(self, user: str, address: str, now: float) -> None:
        """Count a failure."""
        key = _key(user, address)
        failures = self._failures.get(key)
        if failures is None or now - failures.last > FORGOTTEN_AFTER:
            self._failures[key] = _Failures(1, now)
        else:
            failures.count += 1
            failures.last = now
        self._failures.move_to_end(key)
        if len(self._failures) > self._remembered:
            self._failures.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """Forget the failures: the row is broken."""
        self._failures.pop(_key(user, address), None)


def _key(user: str, address: str) -> bytes:
    # A digest, because a caller's user name may be long; \0 cannot be in an address.
    return hashlib.blake2b(f"{address}\0{user}".encode(errors="surrogatepass"), digest_size=16).digest()
