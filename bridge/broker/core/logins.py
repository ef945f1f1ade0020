"""Logins: how many may be under way, and may fail, from one address. Pure; time is an argument."""

_WINDOW = 60.0
_ADDRESSES = 10_000  # remembered; beyond, the one whose window began first is forgotten


class Logins:
    """Connections not yet logged in, and failed logins of the last minute, by address."""

    __slots__ = ("_connecting", "_failed", "_max_connecting", "_max_failed", "connecting")

    def __init__(self, max_connecting: int, max_failed: int) -> None:
        self._max_connecting = max_connecting
        self._max_failed = max_failed
        self._connecting: dict[str, int] = {}
        self.connecting = 0  # connections not yet logged in, in all
        self._failed: dict[str, tuple[float, int]] = {}

    def began(self, address: str) -> bool:
        """Count a new connection; False, and not counted, if its address has too many under way."""
        count = self._connecting.get(address, 0)
        if count >= self._max_connecting:
            return False
        self._connecting[address] = count + 1
        self.connecting += 1
        return True

    def ended(self, address: str) -> None:
        """Take back what `began` counted: the login is done, or the connection gone."""
        self.connecting -= 1
        count = self._connecting.get(address, 0) - 1
        if count > 0:
            self._connecting[address] = count
        else:
            self._connecting.pop(address, None)

    def failed(self, address: str, now: float) -> None:
        """Count a failed login."""
        begun, count = self._failed.get(address, (now, 0))
        if now - begun >= _WINDOW:
            del self._failed[address]
            begun, count = now, 0
        elif count == 0 and len(self._failed) >= _ADDRESSES:
            del self._failed[next(iter(self._failed))]
        self._failed[address] = (begun, count + 1)

    def blocked(self, address: str, now: float) -> bool:
        """Say whether too many logins failed from this address within a minute."""
        begun, count = self._failed.get(address, (now, 0))
        return count >= self._max_failed and now - begun < _WINDOW
