"""Rates: how many triggers a second one key may send. A token bucket each; off unless configured."""

from collections import OrderedDict

_REMEMBERED = 10_000  # keys; the one used longest ago gives way, and starts full again


class Rates:
    """Every key's bucket: it holds one second's worth and fills evenly."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, per_second: float, now: float) -> float:
        """Take one from the key's bucket and return 0, or return the seconds until there is one."""
        if per_second <= 0:
            return 0.0
        most = max(per_second, 1.0)
        left, at = self._buckets.pop(key, (most, now))
        left = min(most, left + (now - at) * per_second)
        allowed = left >= 1.0
        self._buckets[key] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / per_second
