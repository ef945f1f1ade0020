"""Seen: which pops were there already, so that each is shown once. Pure and bounded."""


class Seen:
    """Popids, each remembered until its pop has expired: from then on its age alone keeps it from being shown."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, popid: str, until: float, now: float) -> bool:
        """Remember a popid; say whether it is new. At the limit, what has expired is forgotten, then the oldest."""
        if popid in self._until:
            return False
        if len(self._until) >= self._limit:
            self._until = {each: end for each, end in self._until.items() if end > now}
        while len(self._until) >= self._limit:
            del self._until[next(iter(self._until))]
        self._until[popid] = until
        return True
