"""Line: what a connection is to those who use it, and what it is made of."""

from typing import Protocol


class Transport(Protocol):
    """Where bytes go, as asyncio's transports do it."""

    def write(self, data: bytes, /) -> None:
        """Send, or keep what cannot be sent at once."""

    def get_write_buffer_size(self) -> int:
        """Count the bytes not yet sent."""

    def is_closing(self) -> bool:
        """Say whether the line is at its end: uvloop raises for a write on one that was reset."""

    def pause_reading(self) -> None:
        """Give no more bytes."""

    def resume_reading(self) -> None:
        """Go on."""

    def close(self) -> None:
        """Close when everything is sent."""

    def abort(self) -> None:
        """Close at once."""


class Outlet(Protocol):
    """The connection of a session, as the session's owner sees it."""

    def write(self, data: bytes) -> bool:
        """Send bytes, at once or with the others of this wake-up; False if the connection is at its end."""

    def cut(self, reason: str) -> None:
        """End the connection of a client that does not keep up."""

    def taken_over(self) -> None:
        """End the connection because the client connected again."""


class Line(Outlet, Protocol):
    """The connection, as a conversation sees it. Between `begin` and `flush`, what is written is gathered."""

    seen: float
    ended: bool

    def begin(self) -> None:
        """Gather what is written from now on."""

    def flush(self) -> None:
        """Write what was gathered, and from now on at once."""

    def trickle(self) -> None:
        """Call `more` again as the line becomes free."""

    def end(self, *, publish_will: bool) -> None:
        """End the connection."""
