"""Live: the credentials that count now, in memory. Who is not here is refused, whatever its signature says."""

import heapq

import msgspec

from bridge.words.principal import Principal


class Entry(msgspec.Struct, gc=False):
    """A credential and when it ends: its expiry, or earlier if it was revoked or regenerated."""

    principal: Principal
    ends: float


class LiveCredentials:
    """What the registry says about every credential that has not expired."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._by_expiry: list[tuple[float, str]] = []
        self._early: list[float] = []  # ends before an expiry that were not counted yet
        self._ended_early = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, principal: Principal, ends: float) -> None:
        """Take over what the registry says now. An entry that somebody holds changes with it."""
        known = self._entries.get(principal.id)
        if known is None:
            self._entries[principal.id] = Entry(principal, ends)
            heapq.heappush(self._by_expiry, (principal.expires, principal.id))
        else:
            known.ends = ends
        if ends < principal.expires:
            heapq.heappush(self._early, ends)

    def get(self, credential_id: str) -> Entry | None:
        """Find a credential, ended or not."""
        return self._entries.get(credential_id)

    def alive(self, credential_id: str, now: float) -> bool:
        """Say whether the credential counts at `now`."""
        entry = self._entries.get(credential_id)
        return entry is not None and now < entry.ends

    def ended_early(self, now: float) -> int:
        """Count the ends, by `now`, that came before an expiry; it may count one twice, but misses none."""
        while self._early and self._early[0] <= now:
            heapq.heappop(self._early)
            self._ended_early += 1
        return self._ended_early

    def forget_expired(self, now: float, limit: int = 10_000) -> None:
        """Drop what has expired, at most `limit` at a time so that nobody waits."""
        while limit and self._by_expiry and self._by_expiry[0][0] <= now:
            _, credential_id = heapq.heappop(self._by_expiry)
            del self._entries[credential_id]
            limit -= 1
