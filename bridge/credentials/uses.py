"""Uses: when, from where and how often credentials were used, gathered until somebody writes it down."""

from bridge.credentials.registry import Use

GATHERED = 50_000  # credentials with unwritten uses; a further one's use is not counted


class Uses:
    """A gathering of uses."""

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}

    def note(self, credential_id: str, address: str, now: float) -> None:
        """Count one use."""
        use = self._uses.get(credential_id)
        if use is not None:
            use.at, use.address, use.count = now, address, use.count + 1
        elif len(self._uses) < GATHERED:
            self._uses[credential_id] = Use(now, address, 1)

    def take(self) -> dict[str, Use]:
        """Hand over what was gathered, and begin anew."""
        taken, self._uses = self._uses, {}
        return taken

    def give_back(self, unwritten: dict[str, Use]) -> None:
        """Take back what could not be written."""
        newer, self._uses = self._uses, unwritten
        for credential_id, use in newer.items():
            older = unwritten.get(credential_id)
            if older is not None:
                use.count += older.count
            unwritten[credential_id] = use
